"""What every stage stands on: units, time, arrays, the compiler, geodesy and errors."""
