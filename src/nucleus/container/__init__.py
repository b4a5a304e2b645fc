"""The API people import: composes the effects below into containers."""
