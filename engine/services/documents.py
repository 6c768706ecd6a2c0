"""XML that a service answers with: errors, and what it says of itself."""

from __future__ import annotations

# What comes from the internet is refused before parsing where it declares entities, the one thing that can make the
# standard library's parser read other files or fill the memory.
from xml.etree import ElementTree  # nosec B405

from engine.errors import InputError

_SENTENCE = 300
_ERRORS = {"ServiceException", "ExceptionText", "ServiceExceptionReport", "ExceptionReport"}


def parsed(content: bytes) -> ElementTree.Element | None:
    """Return the root of a document; None where it is none, or declares entities."""
    if b"<!ENTITY" in content:
        return None
    try:
        # See the import.
        return ElementTree.fromstring(content)  # nosec B314
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def local(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def is_markup(content: bytes) -> bool:
    """Return whether an answer is XML or HTML rather than a picture."""
    return content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def service_error(content: bytes) -> str:
    """Return the sentence of an error that a service answers with (WMS, OWS); empty where it is none."""
    root = parsed(content)
    if root is None or not any(local(item) in _ERRORS for item in root.iter()):
        return ""
    sentences = []
    for item in root.iter():
        if local(item) in ("ServiceException", "ExceptionText"):
            code = item.get("code", "")
            text = " ".join("".join(item.itertext()).split()).rstrip(".")
            sentences.append(text or code)
    return "; ".join(item for item in sentences if item)[:_SENTENCE] or "an error without a reason"


def refused(host: str, status: int, content: bytes) -> InputError:
    """Return the error for an answer of markup, or one whose status says no.

    Args:
        host: Name of the server.
        status: Status of the answer.
        content: All of it.
    """
    sentence = service_error(content)
    if sentence:
        return InputError(
            f'{host} answers: "{sentence}".', "Check layers, CRS and format in the address, and the extent."
        )
    if status in (401, 403):
        return InputError(
            f"{host} refuses to answer ({status}).",
            "It may need an account: give it in the address, https://NAME:PASSWORD@host/..., or be closed to this "
            "network.",
        )
    if status >= 400:
        return InputError(f"{host} answers {status}.", "Check the address, or try again later.")
    return InputError(
        f"{host} answers with a web page in place of what was asked for.",
        "A proxy or a sign-in page may stand in between; open the address in a browser to see it.",
    )
