// RFC 3339 date-times, the `time` of a CloudEvent.

/** Epoch milliseconds, cut to whole ones; NaN where the text is no date-time. */
export function parseTime(at: usize, bytes: u32): f64 {
  // Shortest: 2026-01-01T00:00:00Z
  if (bytes < 20) return NaN;
  const end = at + bytes;
  const year = digits(at, 4);
  const month = digits(at + 5, 2);
  const day = digits(at + 8, 2);
  const hour = digits(at + 11, 2);
  const minute = digits(at + 14, 2);
  const second = digits(at + 17, 2);
  if ((year | month | day | hour | minute | second) < 0) return NaN;
  if (load<u8>(at, 4) != 0x2d || load<u8>(at, 7) != 0x2d) return NaN;
  if ((load<u8>(at, 10) | 0x20) != 0x74) return NaN;
  if (load<u8>(at, 13) != 0x3a || load<u8>(at, 16) != 0x3a) return NaN;
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return NaN;
  // A leap second is the first of the next minute.
  if (hour > 23 || minute > 59 || second > 60) return NaN;

  at += 19;
  let milliseconds = 0;
  if (load<u8>(at) == 0x2e) {
    const first = ++at;
    let unit = 100;
    for (; at < end && <u8>(load<u8>(at) - 0x30) <= 9; at++) {
      milliseconds += <i32>(load<u8>(at) - 0x30) * unit;
      unit /= 10;
    }
    if (at == first) return NaN;
  }
  const offsetMinutes = parseOffset(at, end);
  if (offsetMinutes == OFFSET_BAD) return NaN;
  const days = daysSinceEpoch(year, month, day);
  const minutes = <f64>(hour * 60 + minute - offsetMinutes);
  return <f64>days * 86_400_000 + minutes * 60_000 + <f64>(second * 1000 + milliseconds);
}

const OFFSET_BAD: i32 = i32.MAX_VALUE;

/** `Z` or `+hh:mm` up to `end`, in minutes. */
function parseOffset(at: usize, end: usize): i32 {
  if (at >= end) return OFFSET_BAD;
  const sign = load<u8>(at);
  if ((sign | 0x20) == 0x7a) return at + 1 == end ? 0 : OFFSET_BAD;
  if ((sign != 0x2b && sign != 0x2d) || at + 6 != end) return OFFSET_BAD;
  const hours = digits(at + 1, 2);
  const minutes = digits(at + 4, 2);
  if (load<u8>(at, 3) != 0x3a || hours < 0 || hours > 23) return OFFSET_BAD;
  if (minutes < 0 || minutes > 59) return OFFSET_BAD;
  return sign == 0x2d ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

/** `count` decimal digits, -1 if one is not. */
function digits(at: usize, count: usize): i32 {
  let value: i32 = 0;
  for (let i: usize = 0; i < count; i++) {
    const digit = <u8>(load<u8>(at + i) - 0x30);
    if (digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function daysOf(year: i32, month: i32): i32 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** Proleptic Gregorian, after Hinnant, "chrono-compatible low-level date algorithms". */
function daysSinceEpoch(year: i32, month: i32, day: i32): i32 {
  // Years begin in March here, so that the leap day is the last; 400 keeps the era positive.
  const shifted = month > 2 ? year + 400 : year + 399;
  const era = shifted / 400;
  const yearOfEra = shifted - era * 400;
  const dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
  return (era - 1) * 146097 + dayOfEra - 719468;
}
