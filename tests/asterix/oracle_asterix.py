"""Records by libasterix (permissive, slow, of other people): raw unsigned integers by our column names."""

from functools import cache

from asterix import base, generated


@cache
def edition_class(category, edition):
    major, minor = edition.split(".")
    return getattr(generated, f"Cat_{category:03d}_{major}_{minor}")


def parse_block(data, category, edition):
    """All records of one block as dicts; None where libasterix refuses the block."""
    blocks = base.RawDatablock.parse(base.Bits.from_bytes(data))
    if isinstance(blocks, ValueError) or len(blocks) != 1:
        return None
    uap = edition_class(category, edition).cv_uap
    records = uap.parse(blocks[0].get_raw_records())
    if isinstance(records, ValueError):
        return None
    return [as_dict(record) for record in records if not record.is_empty()]


def as_dict(record):
    values = {}
    for name, item in record.items_regular.items():
        flatten(name, item, values)
    return values


def flatten(name, item, values):
    variation = item.arg.arg
    if isinstance(variation, base.Element):
        values[name] = variation.as_uint()
    elif isinstance(variation, base.Group):
        flatten_items(name, variation.arg, values)
    elif isinstance(variation, base.Extended):
        for part in variation.arg:
            flatten_items(name, part, values)
    elif isinstance(variation, base.Compound):
        for sub, inner in variation.arg.items():
            flatten(f"{name}/{sub}", inner, values)
    elif isinstance(variation, base.Repetitive):
        values[f"{name}/count"] = len(variation.arg)
    else:
        values[f"{name}/length"] = len(variation.get_bytes())


def flatten_items(name, items, values):
    for item in items:
        if isinstance(item, base.Item):
            flatten(f"{name}/{item.arg.cv_name}", item.arg, values)
