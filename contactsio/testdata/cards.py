"""Reads vCards with python3-vobject and writes what it takes them for, as JSON."""

import json
import sys

import vobject


def line(value):
    """A value of several parts comes as a list."""
    return value if isinstance(value, str) else ",".join(value)


def person(card):
    def values(name):
        return [child.value for child in card.contents.get(name, [])]

    def value(name):
        return "".join(values(name))

    address = card.adr.value
    return {
        "first_name": line(card.n.value.given),
        "last_name": line(card.n.value.family),
        "company": ";".join(card.org.value) if "org" in card.contents else "",
        "email": value("email"),
        "website": value("url"),
        "external_id": value("uid"),
        "address": line(address.street),
        "city": line(address.city),
        "state": line(address.region),
        "zip_code": line(address.code),
        "country": line(address.country),
        "tags": [tag for tags in values("categories") for tag in tags],
        "phone_numbers": values("tel"),
        "phone_types": [child.params.get("TYPE", []) for child in card.contents.get("tel", [])],
        "labels": values("x-ablabel"),
    }


sys.stdin.reconfigure(encoding="utf-8", newline="")
json.dump([person(card) for card in vobject.readComponents(sys.stdin.read())], sys.stdout)
