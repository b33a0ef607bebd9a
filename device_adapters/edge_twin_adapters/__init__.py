"""Adapters: every source becomes a stream of observations; nothing else knows a protocol."""

from __future__ import annotations
