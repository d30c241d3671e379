"""Invented names of companies and people, and addresses under the reserved domain ``.example`` (RFC 2606)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from beton.demo.model import Ints, Rng

WORKSPACE = "Larkfield"
INTERNAL_DOMAIN = "larkfield.example"
TEST_DOMAIN = "qa-accounts.example"
PRIVATE_DOMAINS = ("postbox.example", "freemail.example", "inbox.example", "letterbox.example")
SHOWCASE = ("Acme Corp", "TechStart", "DataFlow", "CloudNine")


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_HEADS = _split(
    "Alder Amber Ash Birch Bramble Bright Cedar Clear Clover Copper Coral Crest Dawn Eagle Elm Ember Fair Fern "
    "Flint Fox Glen Gold Granite Green Grey Harbor Hazel Heath High Holly Iron Ivy Juniper Kestrel Lark Laurel "
    "Linden Long Maple Marble Meadow Mill North Oak Olive Orchard Pine Quartz Raven Red River Rock Rowan Sage "
    "Silver Slate Spring Stone Summer Swift Thistle West White Willow Winter"
)
_TAILS = _split(
    "bank bay bridge brook burn cliff cote croft dale den fall fell field ford gate glade grove ham haven hill "
    "holm hurst land lea light mark mere mill moor mount peak point pool port ridge shore side stead stone thorpe "
    "vale view ville water way well wick wood worth yard"
)
_SECTORS = {
    "Software": ("Software", "Systems", "Labs"),
    "Financial services": ("Capital", "Payments", "Insurance"),
    "Retail": ("Retail", "Goods", "Outfitters"),
    "Healthcare": ("Health", "Clinics", "Diagnostics"),
    "Manufacturing": ("Industries", "Robotics", "Materials"),
    "Logistics": ("Logistics", "Freight", "Shipping"),
    "Education": ("Learning", "Academy", "Publishing"),
    "Media": ("Media", "Studios", "Games"),
}
INDUSTRIES = tuple(_SECTORS)
_FIRST = _split(
    "ada aidan alba amara anna anton ari bela ben bruno carla chen clara dara dina elif elio emma ezra fay felix "
    "gita hana hugo ida ines ivan jana joel jun kai kofi lea leo lina luca maia marco mila nadia nils noor olga "
    "omar oren pia priya quinn rafa rosa sami sara sven tara theo uma vera wen yara yusuf zoe"
)
_LAST = _split(
    "abara adler almeida antov baker bauer bellini berg blum bohm brandt cabral calder conti costa dahl demir "
    "diallo dorn eder egger elwood farkas ferro fischer forsyth galli garrick haas hale halloran ito iversen jansen "
    "jovic kaplan keller kimura klein kovac lang larsen lindt lund maier marsh mendes moreau nagy nair novak okafor "
    "olsen ortiz paine petrov quist rahman reyes ricci rossi sato schmid silva sorel stark tanaka thorn toth ueda "
    "vance varga vogel walden weber winther yilmaz zeman"
)


def company_names(rng: Rng, n: int) -> tuple[list[str], Ints]:
    """``n`` distinct company names and the index of each one's industry in ``INDUSTRIES``.

    The first names are those of the mock screens (``SHOWCASE``), all software companies.
    """
    sectors = [(industry, word) for industry, words in enumerate(_SECTORS.values()) for word in words]
    combinations = len(_HEADS) * len(_TAILS) * len(sectors)
    picks = rng.choice(combinations, size=n, replace=False)
    industries = picks.copy()
    names: list[str] = []
    for i, pick in enumerate(picks.tolist()):
        rest, sector = divmod(pick, len(sectors))
        head, tail = divmod(rest, len(_TAILS))
        names.append(f"{_HEADS[head]}{_TAILS[tail]} {sectors[sector][1]}")
        industries[i] = sectors[sector][0]
    names[: len(SHOWCASE)] = SHOWCASE[:n]
    industries[: len(SHOWCASE)] = INDUSTRIES.index("Software")
    return names, industries


def domain_of(company_name: str) -> str:
    """The company's domain: its name in lower case with hyphens, under ``.example``."""
    return company_name.lower().replace(" ", "-") + ".example"


def person_names(rng: Rng, n: int) -> list[tuple[str, str]]:
    """``n`` (first, last) names in lower case; they may repeat."""
    first = rng.integers(0, len(_FIRST), n).tolist()
    last = rng.integers(0, len(_LAST), n).tolist()
    return [(_FIRST[f], _LAST[s]) for f, s in zip(first, last, strict=True)]


def addresses(people: Sequence[tuple[str, str]], domains: Sequence[str]) -> list[str]:
    """``first.last@domain``, numbered from the second person with the same address on."""
    seen: Counter[str] = Counter()
    result = []
    for (first, last), domain in zip(people, domains, strict=True):
        local = f"{first}.{last}"
        seen[f"{local}@{domain}"] += 1
        number = seen[f"{local}@{domain}"]
        result.append(f"{local}{number if number > 1 else ''}@{domain}")
    return result
