"""A slow, obvious ASTERIX decoder, written apart from the kernels: one dict of raw integers per record."""

from skypact.asterix import kernels
from skypact.asterix.tables import item_structures


class FaultError(Exception):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


class Reader:
    def __init__(self, data, position, end):
        self.data, self.position, self.end = data, position, end

    def take(self, count, fault=kernels.TRUNCATED):
        if self.position + count > self.end:
            raise FaultError(fault)
        octets = self.data[self.position : self.position + count]
        self.position += count
        return octets


def read_presence(reader, slots, endless, too_long):
    """Numbers of the slots that an FSPEC announces."""
    octets = []
    while True:
        octets += reader.take(1, endless)
        if not octets[-1] & 1:
            break
        if len(octets) * 7 >= len(slots) and reader.position < reader.end:
            raise FaultError(too_long)
    bits = "".join(f"{octet:08b}"[:7] for octet in octets)
    return [number for number, bit in enumerate(bits) if bit == "1"]


def read_fields(record, name, part, octets, position):
    bits = "".join(f"{octet:08b}" for octet in octets)
    start = 0
    for field, width, *content in part:
        if content:
            path = f"{name}/{field}" if field else name
            value = int(bits[start : start + width], 2)
            if content[0] == "signed":
                record[path] = value - (1 << width) if value >> (width - 1) else value
            elif width <= 31:
                record[path] = value
            elif width <= 54:
                record[f"{path}/high"], record[f"{path}/low"] = value >> 24, value & 0xFFFFFF
            else:
                record[f"{path}/position"] = position + start // 8
        start += width


def part_octets(part):
    return -(-sum(field[1] for field in part) // 8)


class Decoder:
    def __init__(self, category, edition):
        self.items, uaps, case = item_structures(category, edition)
        self.uaps = list(uaps.values())
        self.switch = case[0].split("/")[0] if case else None

    def read_block(self, data, begin, end):
        """Records, number of empty ones, unknown extensions, and the fault that ended the block."""
        reader = Reader(data, begin + 3, end)
        records, empty, unknown = [], 0, 0
        while reader.position < end:
            start = reader.position
            try:
                record, extensions, items = self.read_record(reader)
            except FaultError as fault:
                return records, empty, unknown, (fault.number, start)
            unknown += extensions
            if items:
                records.append((start, record))
            else:
                empty += 1
        return records, empty, unknown, None

    def read_record(self, reader):
        start = reader.position
        self.record, self.unknown = {}, 0
        longest = max(len(uap) for uap in self.uaps)
        slots = [None] * (longest + -longest % 7)
        self.uap = None if self.switch else self.uaps[0]
        numbers = read_presence(reader, slots, kernels.FSPEC_ENDLESS, kernels.FSPEC_TOO_LONG)
        for number in numbers:
            self.read_slot(reader, start, number, in_sequence=False)
        return self.record, self.unknown, len(numbers)

    def slot_name(self, number):
        if self.uap is not None:
            return self.uap[number] if number < len(self.uap) else "-"
        names = {uap[number] if number < len(uap) else "-" for uap in self.uaps}
        if len(names) > 1:
            raise FaultError(kernels.NO_VARIATION)
        return names.pop()

    def read_slot(self, reader, start, number, in_sequence):
        name = self.slot_name(number)
        if name == "rfs":
            if in_sequence:
                raise FaultError(kernels.BAD_SEQUENCE)
            for _ in range(reader.take(1)[0]):
                (field,) = reader.take(1)
                longest = max(len(uap) for uap in self.uaps)
                if not 1 <= field <= longest + -longest % 7:
                    raise FaultError(kernels.BAD_SEQUENCE)
                self.read_slot(reader, start, field - 1, in_sequence=True)
            return
        if name not in self.items:
            raise FaultError(kernels.SPARE_ITEM)
        begin = reader.position
        self.read_structure(reader, start, name, self.items[name])
        if name == self.switch:
            self.uap = self.uaps[reader.data[begin] >> 7]

    def read_structure(self, reader, start, name, structure):
        if "fixed" in structure:
            self.read_part(reader, start, name, structure["fixed"])
        elif "extended" in structure:
            parts = structure["extended"]
            for number, part in enumerate(parts):
                last = self.read_part(reader, start, name, part)
                if number == len(parts) - 1 and not structure["fx_last"]:
                    return
                if not last & 1:
                    return
            while last & 1:
                (last,) = reader.take(1)
                self.unknown += 1
        elif structure.get("repetitive") == "fx":
            self.record[f"{name}/position"] = reader.position - start
            last = self.read_part(reader, start, name, structure["of"])
            count = 1
            while last & 1:
                last = reader.take(part_octets(structure["of"]))[-1]
                count += 1
            self.record[f"{name}/count"] = count
        elif "repetitive" in structure:
            (count,) = reader.take(1)
            position = reader.position
            reader.take(count * part_octets(structure["of"]))
            self.record[f"{name}/position"], self.record[f"{name}/count"] = position - start, count
        elif "explicit" in structure:
            (length,) = reader.take(1)
            if length == 0:
                raise FaultError(kernels.LENGTH_ZERO)
            position = reader.position
            reader.take(length - 1)
            self.record[f"{name}/position"], self.record[f"{name}/length"] = position - start, length - 1
        else:
            subs = structure["compound"]
            slots = subs + [None] * (-len(subs) % 7)
            for number in read_presence(reader, slots, kernels.TRUNCATED, kernels.SPARE_SUBITEM):
                if slots[number] is None:
                    raise FaultError(kernels.SPARE_SUBITEM)
                sub, inner = slots[number]
                self.read_structure(reader, start, f"{name}/{sub}", inner)

    def read_part(self, reader, start, name, part):
        position = reader.position - start
        octets = reader.take(part_octets(part))
        read_fields(self.record, name, part, octets, position)
        return octets[-1]
