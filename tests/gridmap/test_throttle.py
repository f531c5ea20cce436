"""Failed sign-ins: counted for all processes, by name and by address, for a while."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from gridmap import throttle


@pytest.fixture(autouse=True)
def _clean(database):
    yield
    with database.writer() as session:
        session.execute(sa.text("DELETE FROM sign_in_failure"))


@pytest.fixture
def take(database):
    def one(name, address=None):
        with database.writer() as session:
            return throttle.take(session, name, address)

    return one


def later(database, seconds):
    with database.writer() as session:
        session.execute(
            sa.text("UPDATE sign_in_failure SET last_at = last_at - make_interval(secs => :s)"),
            {"s": seconds},
        )


def test_a_name_is_locked_after_five_and_free_after_a_while(database, take):
    assert [take("x") for _ in range(7)] == [4, 3, 2, 1, 0, None, None]
    assert take("y") == 4
    with database.reader() as session:
        assert throttle.is_locked(session, "x")
        assert not throttle.is_locked(session, "y")
    later(database, throttle.LOCKED_S - 10)
    assert take("x") is None
    later(database, 20)
    assert take("x") == 4


def test_an_address_is_locked_after_thirty_whatever_the_names(take):
    tries = [take(f"name{i}", "10.1.2.3") for i in range(31)]
    assert tries[:30] == [4] * 30
    assert tries[30] is None
    assert take("name99", "10.1.2.4") == 4
    assert take("name98", "10.1.2.3") is None
    assert take("name98") == 4  # the refused try was not counted for the name either


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", None, "testclient"])
def test_this_machines_own_address_is_nobodys(take, address):
    assert [take(f"name{i}", address) for i in range(40)] == [4] * 40


def test_the_right_password_gives_the_try_back(database, take):
    for _ in range(3):
        take("x", "10.0.0.1")
    with database.writer() as session:
        throttle.give_back(session, "x", "10.0.0.1")
    assert take("x", "10.0.0.1") == 4
    with database.reader() as session:
        counts = session.execute(sa.text("SELECT failures FROM sign_in_failure ORDER BY 1")).scalars().all()
    assert counts == [1, 3]


def test_many_at_once_are_not_more_than_one_after_the_other(take):
    with ThreadPoolExecutor(4) as pool:
        tries = list(pool.map(lambda _: take("x", "10.0.0.1"), range(20)))
    assert sorted(each for each in tries if each is not None) == [0, 1, 2, 3, 4]


def test_names_are_not_kept(database, take):
    take("a password typed as a name", "10.0.0.1")
    with database.reader() as session:
        kept = str(session.execute(sa.text("SELECT * FROM sign_in_failure")).all())
    assert "password" not in kept
    assert "10.0.0.1" not in kept
