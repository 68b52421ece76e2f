"""Whether a file says of itself that its speech is synthetic, whoever made it.

A file without a label may be synthetic all the same: metadata is lost wherever a recording is converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cosyrt.credentials import found_credentials
from cosyrt.errors import AudioError
from cosyrt.labels import COMMENT, KEY, MAX_FIELD_CHARACTERS, fields_of
from cosyrt.sound_file import READABLE
from cosyrt.sound_source import Openable, open_sound, reason

MOST_BYTES = 500_000_000  # of the file that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a file says about where its sound comes from."""

    labelled: bool
    container: str  # FFmpeg's name of the format
    fields: Mapping[str, str] = field(default_factory=dict)  # of the label, such as ContentProducer
    comment: str = ""  # the file's comment in words
    credentials: str = ""  # signed ones (C2PA): valid, trusted, invalid

    def as_json(self) -> dict[str, object]:
        """The finding as a JSON object."""
        return {
            "labelled": self.labelled,
            "container": self.container,
            "fields": dict(self.fields),
            "comment": self.comment,
            "credentials": self.credentials,
        }


def check_label(source: Openable) -> Finding:
    """Look for the label in a file's metadata; no audio of it is decoded.

    Raises:
        AudioError: the file cannot be read, or is no audio with a container.
    """
    import av

    with open_sound(source, MOST_BYTES) as opened:
        options = {"format_whitelist": READABLE}
        try:
            with av.open(opened, options=options, metadata_errors="replace") as container:
                tags = [container.metadata, *(stream.metadata for stream in container.streams)]
                finding = _finding(container.format.name, tags)
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"cannot read {opened.name} as audio ({reason(error)}); "
                "bare samples (pcm) have no place for a label"
            ) from error
        credentials = found_credentials(opened.from_start().read(), finding.container)
        return replace(finding, credentials=credentials)


def _finding(container: str, tags: list[dict[str, str]]) -> Finding:
    by_name = {name.upper(): value for each in reversed(tags) for name, value in each.items()}
    comment = by_name.get("COMMENT", "")[:MAX_FIELD_CHARACTERS]
    if KEY in by_name:
        return Finding(labelled=True, container=container, fields=fields_of(by_name[KEY]), comment=comment)
    return Finding(labelled=comment == COMMENT, container=container, comment=comment)
