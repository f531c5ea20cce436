"""Attachments in storage: what they may be and be called, once each, sealed, erased with the text, still verifying."""

import datetime as dt
import hashlib

import pytest

from gridmap import attachments, audit_chain
from gridmap.access import Scope
from gridmap.attachment_kinds import ENDINGS, kind_of, name_of
from gridmap.attachments import Prepared, prepared
from gridmap.audit_verify import verify
from gridmap.errors import Conflict, InvalidInput, NotFound, NotPossible
from gridmap.retention import erase, erase_attachment, erase_due
from gridmap.sealing import Seal
from tests.bench.pictured import PDF, SECRET, picture

MOST = 3


def paper(text=b"a"):
    content = PDF + b"%" + text
    return Prepared("笔录.pdf", "application/pdf", content, hashlib.sha256(content).digest())


def attach(desk, event, file=None, most=MOST):
    with desk.database.writer() as session:
        return attachments.add(session, event, file or paper(), desk.seal, actor="west", most=most)


@pytest.fixture
def told(desk, county):
    return lambda **more: desk.post(county.event(description="张三", **more)).event


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_the_kind_follows_from_the_content_and_a_picture_loses_its_metadata(kind):
    sent = picture(kind)
    file = prepared("x.html", sent, most_bytes=1 << 20)
    assert file.media_type == f"image/{kind}" == kind_of(sent)
    assert file.sent_sha256 == hashlib.sha256(sent).digest()
    assert SECRET.encode() not in file.content
    assert file.name.endswith(ENDINGS[file.media_type][0])


def test_a_pdf_stays_as_it_is():
    file = prepared("笔录.PDF", PDF, most_bytes=1 << 20)
    assert (file.name, file.media_type, file.content) == ("笔录.PDF", "application/pdf", PDF)


@pytest.mark.parametrize(
    "content", [b"GIF89a", b"PK\x03\x04", b"", b"hello", b" %PDF-1.7\n%%EOF", b"II*\0", b"\0\0\0\x18ftypheic"]
)
def test_other_kinds_are_refused_with_what_is_allowed(content):
    with pytest.raises(InvalidInput) as refused:
        kind_of(content)
    assert refused.value.code == "unknown_type"
    assert all(kind in refused.value.findings[0]["message"] for kind in ENDINGS)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("现场.jpg", "现场.jpg"),
        ("a.JPEG", "a.JPEG"),
        ("a.html", "a.html.jpg"),
        (" a ", "a.jpg"),
        ("e\u0301.jpg", "é.jpg"),
        ("👩\u200d🚒.jpg", "👩\u200d🚒.jpg"),
        ("x" * 200, "x" * 195 + ".jpg"),
    ],
)
def test_names_fit_what_they_name(given, kept):
    assert name_of(given, "image/jpeg") == kept


@pytest.mark.parametrize(
    "given",
    ["", "  ", "..", "a/b.jpg", "a\\b", "a\0b", "a\nb", "\u202egpj.exe", "x" * 201, "\ufeff", "\ud800"],
)
def test_what_is_no_name_is_refused(given):
    with pytest.raises(InvalidInput) as refused:
        name_of(given, "image/jpeg")
    assert refused.value.code == "bad_name"


def test_an_attachment_is_stored_sealed_and_told_of_by_digests(desk, told):
    event, file = told(), paper()
    row, is_new = attach(desk, event, file)
    assert is_new
    assert (row["id"], row["name"], row["type"], row["bytes"]) == (
        1,
        "笔录.pdf",
        "application/pdf",
        len(file.content),
    )
    stored = desk.one("SELECT content, sha256, added_by FROM event_attachment WHERE event = :n", n=event)
    assert PDF[:20] not in bytes(stored.content)
    assert len(stored.content) < len(file.content) + 100
    assert desk.seal.open_file(bytes(stored.content)) == file.content
    assert (bytes(stored.sha256), stored.added_by) == (hashlib.sha256(file.content).digest(), "west")
    step = desk.rows("SELECT * FROM event_history WHERE event = :n ORDER BY id", n=event)[-1]
    assert (step.action, step.actor, bytes(step.digest)) == ("attach", "west", bytes(stored.sha256))
    assert step.detail == {
        "attachment": 1, "type": "application/pdf", "bytes": len(file.content), "sent": file.sent_sha256.hex(),
    }  # fmt: skip
    noted = desk.one(
        "SELECT actor, object, detail, paths::text[] AS paths FROM audit WHERE action = 'event.attach'"
    )
    assert (noted.actor, noted.object, noted.detail["sha256"]) == ("west", f"event:{event}", row["sha256"])
    assert noted.paths
    assert desk.one("SELECT count(*) FROM change_log WHERE event = :n", n=event) == 2


def test_the_same_bytes_are_stored_once_also_as_they_are_kept_and_once_erased(desk, told):
    event, other = told(), told()
    sent = picture("jpeg")
    file = prepared("a.jpg", sent, most_bytes=1 << 20)
    assert file.content != sent
    assert attach(desk, event, file)[1]
    assert not attach(desk, event, file)[1]
    again = Prepared("b.jpg", file.media_type, file.content, hashlib.sha256(file.content).digest())
    row, is_new = attach(desk, event, again)
    assert (row["id"], row["name"], is_new) == (1, "a.jpg", False)
    assert attach(desk, other, file)[1]  # another event's
    with desk.database.writer() as session:
        erase(session, [event], actor="chief", reason="§47", scope=Scope(None))
    row, is_new = attach(desk, event, file)
    assert (row["id"], row["name"], is_new) == (1, None, False)
    assert row["erased_at"] is not None
    assert desk.one("SELECT count(*) FROM event_attachment") == 2


def test_an_event_has_so_many_and_no_more(desk, told):
    event = told()
    for number in range(MOST):
        assert attach(desk, event, paper(b"%d" % number))[0]["id"] == number + 1
    with pytest.raises(Conflict) as refused:
        attach(desk, event, paper(b"x"))
    assert refused.value.code == "too_many_attachments"
    assert not attach(desk, event, paper(b"0"))[1]  # the same again is no more
    with desk.database.writer() as session:
        assert erase_attachment(session, event, 3, actor="chief", reason="x", scope=Scope(None))
    assert attach(desk, event, paper(b"x"))[0]["id"] == 4  # no number is used again
    with pytest.raises(NotFound):
        attach(desk, 10**9)


def test_it_goes_with_the_text_when_due_and_also_where_the_text_is_gone_already(desk, told):
    event, open_one = told(), told()
    attach(desk, event)
    attach(desk, open_one)
    desk.do(
        "UPDATE event SET status = 'closed', closed_at = now() - interval '9 years' WHERE id = :n", n=event
    )

    def due():
        with desk.database.writer() as session:
            return erase_due(session, dt.datetime.now(dt.UTC))

    left = "SELECT number, name, content, erased_at FROM event_attachment WHERE event = :n ORDER BY number"
    assert due() == 1
    assert [(row.name, row.content, row.erased_at is None) for row in desk.rows(left, n=event)] == [
        (None, None, False)
    ]
    assert desk.rows("SELECT detail FROM event_history WHERE event = :n ORDER BY id", n=event)[-1].detail == {
        "reason": "retention", "attachments": [1],
    }  # fmt: skip
    assert due() == 0
    attach(desk, event, paper(b"late"))
    assert due() == 1
    assert [row.content for row in desk.rows(left, n=event)] == [None, None]
    assert [row.content is None for row in desk.rows(left, n=open_one)] == [False]


def test_one_goes_on_order_with_a_reason_within_ones_areas(desk, told):
    event = told()
    attach(desk, event)
    attach(desk, event, paper(b"b"))

    def order(number, scope=Scope(None), reason="§47", of=event):  # noqa: B008  # frozen
        with desk.database.writer() as session:
            return erase_attachment(session, of, number, actor="chief", reason=reason, scope=scope)

    for number, scope, of in ((1, Scope(("1.2",)), event), (9, Scope(None), event), (1, Scope(None), 10**9)):
        with pytest.raises(NotFound):
            order(number, scope, of=of)
    with pytest.raises(InvalidInput):
        order(1, reason=" ")
    assert [order(1), order(1)] == [True, False]
    assert [row[0] for row in desk.rows("SELECT name FROM event_attachment ORDER BY number")] == [
        None,
        "笔录.pdf",
    ]
    assert desk.one("SELECT description FROM event_text WHERE event = :n", n=event) == "张三"
    noted = desk.one("SELECT actor, object, reason, detail FROM audit WHERE action = 'event.erase'")
    assert tuple(noted) == ("chief", f"event:{event}", "§47", {"attachment": 1})


def test_history_and_audit_verify_after_erasing(desk, told):
    event = told()
    attach(desk, event)

    def seal():
        with desk.database.writer() as session:
            audit_chain.seal(session, patience_s=0)

    seal()
    with desk.database.writer() as session:
        erase(session, [event], actor="chief", reason="§47", scope=Scope(None))
    seal()
    with desk.database.reader() as session:
        verdict = verify(session)
    assert verdict.flaw is None
    assert verdict.head is not None
    kept = desk.one(
        "SELECT a.sha256 = h.digest FROM event_attachment a JOIN event_history h USING (event) WHERE action = 'attach'"
    )
    assert kept is True


def test_what_was_altered_or_sealed_with_another_secret_is_not_answered(desk, told):
    event = told()
    attach(desk, event)
    statement = "SELECT content, encode(sha256, 'hex') AS sha256 FROM event_attachment"
    with desk.database.reader() as session:
        row = session.execute(attachments.sa.text(statement)).mappings().one()
    assert attachments.opened(row, desk.seal) == paper().content
    with pytest.raises(NotPossible, match="GRIDMAP_SECRET_KEY"):
        attachments.opened(row, Seal("another"))
    with pytest.raises(NotPossible, match="digest"):
        attachments.opened({**row, "content": desk.seal.close_file(b"other")}, desk.seal)
