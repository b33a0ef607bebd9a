"""The reader of the intake folder: FHIR, diary entries, and answers of the questionnaire that the site installed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_twin.errors import SurveyError
from edge_twin.proctcae import Pack, load_pack
from edge_twin_adapters.documents import read_document
from edge_twin_adapters.fhir import Intake
from edge_twin_adapters.folder import Reader
from edge_twin_app.settings import QuestionnaireSettings

_LOG = logging.getLogger(__name__)


def intake_reader(questionnaire: QuestionnaireSettings | None, refused: Callable[[str], None]) -> Reader:
    """A reader of documents; a content pack that is refused stops its own answers and nothing else.

    Args:
        questionnaire: the site's pack, or None.
        refused: told why the pack was refused.
    """
    pack = None if questionnaire is None else _verified(questionnaire, refused)

    def read(content: bytes, source: str) -> Intake:
        return read_document(content, source=source, pack=pack)

    return read


def _verified(questionnaire: QuestionnaireSettings, refused: Callable[[str], None]) -> Pack | None:
    try:
        return load_pack(questionnaire.pack, digest=questionnaire.digest)
    except SurveyError as error:
        _LOG.warning("questionnaire refused: %s", error.reason)
        refused(f"questionnaire {error.reason}")
        return None
