"""What a rule and a channel may say."""

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from deployments.domain.alert_rules import (
    KINDS,
    USUAL,
    RuleKind,
    address_problem,
    may_be_mailed,
    read_addresses,
    rule_problems,
    title,
)


@pytest.mark.parametrize("kind", RuleKind)
def test_each_kind_can_be_set_with_its_default(kind):
    about = KINDS[kind]
    amount = about.amount.default if about.amount else None
    dag = "daily_sales" if about.of_dag else ""
    assert rule_problems(kind, amount, dag, of_deployment=False) == {}
    assert "{" not in title(kind, amount, dag)


def test_the_titles_read_like_sentences():
    assert title(RuleKind.UNHEALTHY, 1) == "Unhealthy for 1 minute"
    assert title(RuleKind.NO_SUCCESS, 24, "daily_sales") == "No success of daily_sales in 24 hours"


@pytest.mark.parametrize(
    ("kind", "amount", "dag", "field"),
    [
        (RuleKind.UNHEALTHY, None, "", "amount"),
        (RuleKind.UNHEALTHY, 0, "", "amount"),
        (RuleKind.UNHEALTHY, 1441, "", "amount"),
        (RuleKind.NO_SUCCESS, 24, "", "dag"),
        (RuleKind.NO_SUCCESS, 24, "a\nb", "dag"),
        (RuleKind.NO_SUCCESS, 24, "a" * 251, "dag"),
        (RuleKind.TOKEN_ENDING, 7, "", "kind"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(kind, amount, dag, field):
    assert set(rule_problems(kind, amount, dag, of_deployment=True)) == {field}


def test_one_click_switches_on_what_most_teams_want():
    assert [KINDS[kind].label for kind in USUAL] == [
        "Unhealthy",
        "Stalled",
        "Deploy failed",
        "DAG run failed",
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "at least one"),
        ("alice", "not an email address"),
        ("@example.org", "not an email address"),
        ("eve@evil.example", "ALERT_EMAIL_DOMAINS"),
        (" ".join(f"a{n}@ops.example" for n in range(11)), "at most 10"),
        ("Alice@Example.org, ops@ops.example;team@OPS.example\nalice@example.org", ""),
    ],
)
def test_alerts_are_mailed_to_members_and_to_domains_that_the_operator_lists(typed, words):
    problem = address_problem(read_addresses(typed), ["alice@example.org"], ["ops.example"])
    assert (words in problem) if words else problem == ""


@pytest.mark.parametrize(
    "address",
    [
        "<m@evil.example>x@ops.example",
        "m@evil.example@ops.example",
        '"m@evil.example"@ops.example',
        "m,x@ops.example",
        "m(evil.example)@ops.example",
        "m:x@ops.example",
        ".m@ops.example",
        "m..x@ops.example",
        "m%evil.example\r\n@ops.example",
        "m@ops.example\n",
        "m\u00e9@ops.example",
        "@ops.example",
        "m@",
        "x" * 243 + "@ops.example",
    ],
)
def test_what_a_mail_server_may_read_in_another_way_is_no_address(address):
    assert not may_be_mailed(address, [], ["ops.example"])
    assert "is not an email address" in address_problem([address], [], ["ops.example"])


@pytest.mark.parametrize(
    "address",
    [
        "o'neill+alerts@ops.example",
        "a.b-c_d@mail.ops.example",
        "m@localhost",
        "m@b\u00fccher.example",
        "m@xn--bcher-kva.xn--p1ai",
    ],
)
def test_usual_addresses_of_a_listed_domain_are_mailed_and_are_ones_for_django_too(address):
    assert address_problem([address], [], [address.partition("@")[2]]) == ""
    validate_email(address)


@pytest.mark.parametrize(
    "domain", ["-a.example", "a-.example", "a.b", "a.123", "a_b.example", "a..example", "a"]
)
def test_a_domain_that_django_refuses_is_refused_here(domain):
    with pytest.raises(ValidationError):
        validate_email(f"m@{domain}")
    assert not may_be_mailed(f"m@{domain}", [], [domain])


def test_addresses_that_stood_in_a_channel_before_are_not_judged_again():
    former = "former@example.org"
    assert address_problem([former], ["alice@example.org"], [], kept=[former]) == ""
    assert "eve@" in address_problem([former, "eve@evil.example"], [], [], kept=[former])
