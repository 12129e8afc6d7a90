"""Errors of rendering an email."""

from __future__ import annotations


class RenderError(RuntimeError):
    """A message that cannot be rendered. The text names the template and the error, without customer data."""


class MissingMessage(RenderError):
    """A message or a flow that the templates do not have. Newer templates may have it."""


class IncorrectDocument(RenderError):
    """A document that must not leave, because its amounts contradict each other. The text says which, without the amounts."""
