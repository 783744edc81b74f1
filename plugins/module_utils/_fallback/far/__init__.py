# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The fallback on another host, and the one on this host that talks to it by the standard streams of a command such as
ssh. One end asks questions about the source's tree, the other answers them in their order:

- ``frames``: what both ends send, in blocks that are compressed where that pays;
- ``link``: the command, and how both ends greet;
- ``messages``, ``owners``: how entries and their owners are told;
- ``answers``: the end that has the source;
- ``questions``, ``listing``, ``content``, ``distant``: the end that has the destination;
- ``source``: how that begins;
- ``push``: a job that the other end carries out;
- ``serve``: what the other end's process does.
"""
