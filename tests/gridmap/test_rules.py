"""An index of what must always hold: each of the 13 rules, and the tests that would fail without it.

A rule may lean on several tests; what a later issue adds is said beside it. Tests are named by file and function.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

RULES = {
    1: (
        "One owner, the same on every path",
        "gridmap/test_placement.py::test_one_and_many_are_the_same",
        "gridmap/test_placement.py::test_bulk_and_single_intake_store_the_same_rows",
        "gridmap/test_placement.py::test_on_a_border_the_smallest_code",
        "gridmap/test_relocation.py::test_nothing_is_left_with_a_superseded_edition_while_boundaries_are_published",
        "gridmap/test_relocation.py::test_the_method_follows_also_where_the_owner_stays",
        "api/test_cli.py::test_locate_answers_as_the_service_does",
    ),
    2: (
        "Exact",
        "gridmap/test_index_geos.py::test_agrees_with_geos",
        "gridmap/test_index_geos.py::test_agrees_with_geos_on_any_rings",
    ),
    3: (
        "Published editions never change",
        "gridmap/test_migrations.py::test_what_is_written_once_cannot_be_changed",
        "gridmap/test_areas.py::test_a_second_load_makes_an_edition_and_keeps_untouched_rows",
        "gridmap/test_relocation.py::test_now_follows_and_then_stays",
        "gridmap/test_memory.py::test_each_moment_has_its_boundaries",
    ),
    4: (
        "A published edition is a clean coverage",
        "gridmap/test_areas.py::test_each_refusal_names_its_row",
        "gridmap/test_areas.py::test_a_retired_code_is_never_used_again",
        "gridmap/test_areas.py::test_an_unknown_kind_and_a_code_that_is_none_are_refused",
    ),
    5: (
        "Acknowledged is committed, posted twice is stored once",
        "gridmap/test_db.py::test_a_connection_lost_in_the_middle_stores_nothing_and_the_next_request_works",
        "gridmap/test_placement.py::test_equal_posts_in_a_block_are_one_and_other_content_is_refused",
        "api/test_intake.py::test_an_event_is_stored_once_and_answered_as_it_is",
        "api/test_intake.py::test_concurrent_posts_of_one_event_store_it_once",
    ),
    6: (
        "All or nothing",
        "gridmap/test_db.py::test_a_writer_leaves_no_trace_of_what_fails",
        "gridmap/test_areas.py::test_a_load_that_fails_at_its_end_leaves_no_trace",
        "gridmap/test_areas.py::test_each_refusal_names_its_row",
        "gridmap/test_migrations.py::test_a_server_that_refuses_the_extensions_says_the_remedy",
    ),
    7: (
        "Every input names its reference system",
        "api/test_intake.py::test_swapped_axes_are_named",
        "api/test_intake.py::test_gcj02_is_converted_and_the_original_kept",
        "gridmap/test_crs*.py",
    ),
    8: (
        "Nobody sees or changes anything outside their areas",
        "gridmap/test_access.py::test_scopes_say_the_same_in_python_and_in_sql",
        "gridmap/test_access.py::test_the_roles_of_the_interface",
        "gridmap/test_locating.py::test_search_stays_within_ones_areas",
        "gridmap/test_placement.py::test_nobody_posts_into_areas_of_others",
        "api/test_reading.py::test_everybody_sees_their_areas_only",
    ),
    9: (
        "People are protected",
        "gridmap/test_access.py::test_sensitive_events_are_for_those_who_handle_them",
        "gridmap/test_access.py::test_text_is_read_by_its_areas_dispatchers_and_by_who_has_it",
        "gridmap/test_sealing.py::test_what_is_sealed_opens_again",
        "gridmap/test_withholding.py",
        "gridmap/test_audit_chain.py::test_what_was_altered_is_named",
        "api/test_audit.py::test_reading_text_is_recorded_and_reading_without_is_not",
        "api/test_intake.py::test_the_contact_is_sealed",
        "api/test_reading.py::test_text_is_for_those_who_handle_it",
    ),
    10: (
        "Everything explains itself",
        "gridmap/test_reasons.py::test_every_code_has_its_text_with_the_parameters_it_is_given",
        "gridmap/test_relocation.py::test_who_has_accepted_an_event_keeps_it_and_its_reason",
        "api/test_audit.py::test_publications_loads_dumps_and_reassignments_are_recorded",
        "gridmap/test_relocation.py::test_an_unaccepted_event_is_routed_anew_and_history_and_log_say_so",
        "gridmap/test_locating.py::test_the_answer_names_worker_border_and_neighbour",
    ),
    11: (
        "Bad input gets a clear error that names the place",
        "gridmap/test_areas.py::test_findings_say_where",
        "api/test_intake.py::test_what_cannot_be_is_refused_with_its_field_and_nothing_is_stored",
        "api/test_cli.py::test_a_setting_that_cannot_be_is_named",
        "api/test_cli.py::test_a_place_that_cannot_be",
    ),
    12: (
        "Works cut off from the internet",
        "browser/test_files.py::test_nothing_is_named_that_lies_elsewhere",
    ),
    13: (
        "Money and time follow the change, not the city",
        "gridmap/test_areas.py::test_the_same_again_makes_no_edition",
        "gridmap/test_memory.py::test_an_edition_published_elsewhere_arrives_when_told",
    ),
}

# What each rule still lacks, because what it speaks of is built later.
LATER = {
    4: "children tile their parents: checked when plans are published",
    5: "kill -9 of service and database",
    6: "edits and publication of plans",
    7: "a set that sits a GCJ-02 offset away",
    8: "streams, exports, row-level security",
    9: "erasure after retention, attachments, marked exports of events",
    13: "edits and publications measured against the size of the city",
}


def missing(node):
    """What a name does not lead to, or None."""
    name, _, function = node.partition("::")
    files = sorted(TESTS.glob(name))
    if not files:
        return f"no file {name}"
    if not function:
        return None
    for path in files:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.FunctionDef) and statement.name == function:
                skipped = any("skip" in ast.unparse(each) for each in statement.decorator_list)
                return f"{node} is skipped" if skipped else None
    return f"no test {node}"


def test_every_rule_is_here():
    assert list(RULES) == list(range(1, 14))
    assert set(LATER) <= set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_the_tests_that_hold_a_rule_are_there(rule):
    name, *nodes = RULES[rule]
    assert nodes, name
    assert [found for node in nodes if (found := missing(node))] == []


def test_a_name_that_leads_nowhere_is_noticed():
    assert missing("gridmap/test_nothing.py") == "no file gridmap/test_nothing.py"
    assert missing("gridmap/test_rules.py::test_nothing") == "no test gridmap/test_rules.py::test_nothing"
    assert missing("gridmap/test_rules.py::test_every_rule_is_here") is None
