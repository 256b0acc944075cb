"""Decoded records made from values in the units of the specification, without bytes."""

import numpy as np

from skypact.asterix.model import MISSING, Datagrams, Decoded, RecordColumns
from skypact.asterix.tables import editions, load_table
from skypact.sensors.model import ReferencePoint, Sensor, make_sensor_table


def columns_of(category, rows, edition="", datagram=None):
    """Records as dicts of field values; an absent field is missing. Each in a datagram of its own."""
    table = load_table(category, edition or editions(category)[-1])
    names = sorted({name for row in rows for name in row}, key=table.names.index)
    places = [table.names.index(name) for name in names]
    scale = table.scale[places]
    values = np.full((len(names), len(rows)), MISSING, dtype=np.int32)
    for number, row in enumerate(rows):
        for name, value in row.items():
            place = names.index(name)
            values[place, number] = round(value / scale[place])
    return RecordColumns(
        category=category,
        edition=table.edition,
        names=tuple(names),
        scale=scale,
        unit=tuple(table.unit[place] for place in places),
        values=values,
        datagram=np.arange(len(rows), dtype=np.int32) if datagram is None else np.int32(datagram),
        offset=np.arange(len(rows), dtype=np.int64) * 100,
        absent=frozenset(table.names).difference(names),
    )


def arrivals(*received):
    count = len(received)
    offset, length = np.arange(count, dtype=np.int64) * 100, np.full(count, 100, dtype=np.int64)
    return Datagrams(
        np.zeros(100 * count, dtype=np.uint8), offset, length, np.array(received, dtype=np.float64)
    )


def decoded_of(*records):
    return Decoded(records=list(records), blocks=1)


def table_of(*sensors):
    """A table of sensors 1/1, 1/2 ... of the kinds or with the fields given, at 54 N 2 E."""
    made = []
    for number, given in enumerate(sensors, 1):
        fields = {"kind": given} if isinstance(given, str) else given
        place = {"latitude_deg": 54.0, "longitude_deg": 2.0, "height_m": 100.0}
        made.append(Sensor(**({"name": f"S{number}", "sac": 1, "sic": number} | place | fields)))
    return make_sensor_table(made, ReferencePoint(latitude_deg=54.0, longitude_deg=2.0))


def source(sic=1):
    return {"010/SAC": 1, "010/SIC": sic}
