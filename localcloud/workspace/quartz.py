"""Quartz cron expressions and the times at which they fire (quartz-scheduler.org, CronExpression)."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
# java.time.ZoneId.SHORT_IDS that are no names of the IANA data base.
_JAVA_ZONES = {
    "ACT": "Australia/Darwin", "AET": "Australia/Sydney", "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo", "AST": "America/Anchorage", "BET": "America/Sao_Paulo", "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare", "CNT": "America/St_Johns", "CST": "America/Chicago", "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa", "ECT": "Europe/Paris", "IET": "America/Indiana/Indianapolis", "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo", "MIT": "Pacific/Apia", "NET": "Asia/Yerevan", "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi", "PNT": "America/Phoenix", "PRT": "America/Puerto_Rico", "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal", "VST": "Asia/Ho_Chi_Minh",
}  # fmt: skip
_LAST_YEAR = 2099


class QuartzError(ValueError):
    """An expression or a time zone that Quartz refuses; the text says why."""


@dataclass(frozen=True)
class Quartz:
    """A parsed expression. Days are kept as text, because `L`, `W` and `#` depend on the month."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]
    zone: tzinfo

    def next_after(self, moment: float) -> float | None:
        """The first fire time after `moment` (both in seconds since the epoch), None if there is none any more."""
        start = datetime.fromtimestamp(moment, self.zone)
        for day in _days_from(start.date(), self.years, self.months):
            if day.day not in self._days_of(day.year, day.month):
                continue
            for at in self._times(start.time() if day == start.date() else time.min):
                local = datetime.combine(day, at, self.zone)
                fires = local.timestamp()
                # A local time that a change to summer time skips never comes.
                if fires > moment and datetime.fromtimestamp(fires, self.zone).replace(tzinfo=None) == local.replace(
                    tzinfo=None
                ):
                    return fires
        return None

    def _times(self, earliest: time) -> Iterator[time]:
        for hour in self.hours:
            # One hour earlier than asked: when the clocks go back, an earlier local time can be a later moment.
            if hour < earliest.hour - 1:
                continue
            for minute in self.minutes:
                for second in self.seconds:
                    yield time(hour, minute, second)

    def _days_of(self, year: int, month: int) -> set[int]:
        if self.days != "?":
            return _month_days(self.days, year, month)
        return _week_days(self.weekdays, year, month)


def parse(expression: str, timezone_id: str) -> Quartz:
    """Parse; raises QuartzError. expression: six or seven fields, seconds first; timezone_id: as Java writes it."""
    fields = expression.upper().split()
    if len(fields) not in (6, 7):
        raise QuartzError(f"Expected 6 or 7 fields (seconds first), got {len(fields)}.")
    seconds, minutes, hours, days, months, weekdays = fields[:6]
    if "?" not in (days, weekdays):
        raise QuartzError(
            "Support for specifying both a day-of-week AND a day-of-month parameter is not implemented: one must"
            " be '?'."
        )
    if days == weekdays:
        raise QuartzError("'?' can only be specified for Day-of-Month -OR- Day-of-Week.")
    quartz = Quartz(
        tuple(sorted(_numbers(seconds, 0, 59, "seconds"))),
        tuple(sorted(_numbers(minutes, 0, 59, "minutes"))),
        tuple(sorted(_numbers(hours, 0, 23, "hours"))),
        days,
        frozenset(_numbers(months, 1, 12, "month", _MONTHS)),
        weekdays,
        frozenset(_numbers(fields[6] if len(fields) == 7 else "*", 1970, _LAST_YEAR, "year")),
        time_zone(timezone_id),
    )
    # A month with 31 days that starts on a Sunday has every day that an expression can name.
    quartz._days_of(2023, 1)
    return quartz


def time_zone(timezone_id: str) -> tzinfo:
    """A Java time zone: an IANA name, one of Java's short names, or an offset such as GMT+02:00."""
    offset = re.fullmatch(r"(?:GMT|UTC|UT)?([+-])(\d{1,2})(?::?(\d{2}))?", timezone_id)
    if offset and int(offset[2]) <= 18 and int(offset[3] or 0) <= 59:
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(span if offset[1] == "+" else -span)
    if timezone_id in ("UTC", "GMT", "UT", "Z"):
        return UTC
    try:
        return ZoneInfo(_JAVA_ZONES.get(timezone_id, timezone_id))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise QuartzError(f"Unknown time zone: {timezone_id}.") from None


def _days_from(first: date, years: frozenset[int], months: frozenset[int]) -> Iterator[date]:
    for year in range(first.year, _LAST_YEAR + 1):
        if year not in years:
            continue
        for month in sorted(months):
            for day in range(1, calendar.monthrange(year, month)[1] + 1):
                candidate = date(year, month, day)
                if candidate >= first:
                    yield candidate


def _numbers(text: str, low: int, high: int, field: str, names: dict[str, int] | None = None) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        if slash and not (step.isdigit() and int(step) > 0):
            raise QuartzError(f"'{item}' is no increment in the {field} field.")
        if span in ("*", "") and (slash or span):
            start, end = low, high
        else:
            first, dash, last = span.partition("-")
            start = _number(first, low, high, field, names)
            end = _number(last, low, high, field, names) if dash else (high if slash else start)
        if start <= end:
            found.update(range(start, end + 1, int(step) if slash else 1))
        else:  # Quartz lets a range wrap around: 22-2, FRI-MON.
            wrapped = [*range(start, high + 1), *range(low, end + 1)]
            found.update(wrapped[:: int(step) if slash else 1])
    return found


def _number(text: str, low: int, high: int, field: str, names: dict[str, int] | None) -> int:
    value = names[text] if names and text in names else int(text) if text.isdigit() else None
    if value is None or not low <= value <= high:
        raise QuartzError(f"'{text}' is no value of the {field} field ({low}-{high}).")
    return value


def _month_days(text: str, year: int, month: int) -> set[int]:
    last = calendar.monthrange(year, month)[1]
    if match := re.fullmatch(r"L(?:-(\d{1,2}))?(W)?", text):
        if int(match[1] or 0) > 30:
            raise QuartzError(f"'{text}': the offset from the last day must be at most 30.")
        day = last - int(match[1] or 0)
        return set() if day < 1 else {_nearest_weekday(year, month, day) if match[2] else day}
    if match := re.fullmatch(r"(\d{1,2})W", text):
        day = _number(match[1], 1, 31, "day-of-month", None)
        return {_nearest_weekday(year, month, day)} if day <= last else set()
    return {day for day in _numbers(text, 1, 31, "day-of-month") if day <= last}


def _week_days(text: str, year: int, month: int) -> set[int]:
    by_weekday: dict[int, list[int]] = {}
    for day in range(1, calendar.monthrange(year, month)[1] + 1):
        by_weekday.setdefault((date(year, month, day).weekday() + 1) % 7 + 1, []).append(day)
    if text == "L":
        return set(by_weekday[7])
    if text.endswith("L") and "," not in text:
        return {by_weekday[_number(text[:-1], 1, 7, "day-of-week", _DAYS)][-1]}
    if "#" in text:
        weekday, _, nth = text.partition("#")
        days = by_weekday[_number(weekday, 1, 7, "day-of-week", _DAYS)]
        position = _number(nth, 1, 5, "day-of-week", None)
        return {days[position - 1]} if position <= len(days) else set()
    return {day for number in _numbers(text, 1, 7, "day-of-week", _DAYS) for day in by_weekday[number]}


def _nearest_weekday(year: int, month: int, day: int) -> int:
    last = calendar.monthrange(year, month)[1]
    weekday = date(year, month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day
