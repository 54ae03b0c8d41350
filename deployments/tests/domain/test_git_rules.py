"""Addresses of repositories, where they may be, and what proves a push event."""

import pytest

from deployments.domain import git_rules
from deployments.domain.git_address import parse, without_password
from deployments.domain.git_hooks import is_signed, signature
from deployments.domain.public_hosts import REPOSITORIES, Listed


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("https://github.com/acme/dags.git", "https://github.com/acme/dags.git"),
        (" HTTPS://GitHub.com/acme/dags ", "https://github.com/acme/dags"),
        ("https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b"),
        ("https://git.example.org:443/a/b", "https://git.example.org/a/b"),
        ("https://[2606:4700::1111]/a", "https://[2606:4700::1111]/a"),
        ("ssh://git@host.example:2222/a/b.git", "ssh://git@host.example:2222/a/b.git"),
        ("ssh://host.example/a", "ssh://git@host.example/a"),
        ("git@github.com:acme/dags.git", "git@github.com:acme/dags.git"),
        ("git@github.com:/acme/dags.git", "ssh://git@github.com/acme/dags.git"),
        ("https://dev.azure.com/a/My%20Project/_git/b", "https://dev.azure.com/a/My%20Project/_git/b"),
        ("ssh://git@ssh.github.com:443/a/b", "ssh://git@ssh.github.com:443/a/b"),
    ],
)
def test_addresses_are_read_as_people_copy_them(typed, stored):
    assert parse(typed).text == stored
    assert parse(stored) == parse(typed)


def test_the_spellings_of_one_repository_are_the_same_repository_and_its_neighbors_are_others():
    one = {parse(f"https://github.com/acme/dags{end}").repository for end in ("", "/", ".git", ".git/")}
    others = {
        parse(each).repository
        for each in (
            "https://github.com/acme/dags2",
            "https://github.com/acme/dags/dags",
            "https://github.com/other/dags",
            "https://gitlab.com/acme/dags",
            "https://github.com:8443/acme/dags",
            "git@github.com:acme/dags.git",
        )
    }
    assert (len(one), len(others), one & others) == (1, 6, set())


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "Enter the address"),
        ("http://github.com/a/b", "not encrypted"),
        ("git://github.com/a/b", "not encrypted"),
        ("file:///etc/passwd", "not supported"),
        ("ext::sh -c id", "not the address of a Git repository"),
        ("/srv/git/a", "not the address of a Git repository"),
        ("github.com/a/b", "not the address of a Git repository"),
        ("https://bob:secret@github.com/a/b", "Leave user name and password out"),
        ("https://bob@github.com/a/b", "Leave user name and password out"),
        ("https://github.com/a/b?x=1", "Leave that out"),
        ("https://github.com/a/b#main", "Leave that out"),
        ("https://github.com", "names no repository"),
        ("https://github.com/", "names no repository"),
        ("https:///a/b", "names no host"),
        ("https://a_b/c", "names no host"),
        ("https://-oProxyCommand=x/a", "names no host"),
        ("ssh://-oProxyCommand=x@host/a", "user name before"),
        ("ssh://git@host:99999/a", "not the address of a Git repository"),
        ("git@host:-upload", "begin with “-”"),
        ("git@host:a/../b", "“..”"),
        ("git@host:a'b", "names no repository"),
        ("git@host:$(id)", "names no repository"),
        ("https://host/" + "a" * 600, "at most 500"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(typed, why):
    with pytest.raises(ValueError, match=why) as error:
        parse(typed)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("git@github.com:acme/dags.git", "https://github.com/acme/dags/commit/abc"),
        ("https://github.com/acme/dags", "https://github.com/acme/dags/commit/abc"),
        ("https://gitlab.example.org:8443/a/b/c.git", "https://gitlab.example.org:8443/a/b/c/-/commit/abc"),
        ("ssh://git@gitlab.example.org:2222/a/b.git", "https://gitlab.example.org/a/b/-/commit/abc"),
        ("git@bitbucket.org:acme/dags.git", "https://bitbucket.org/acme/dags/commits/abc"),
        ("git@codeberg.org:acme/dags.git", "https://codeberg.org/acme/dags/commit/abc"),
        ("https://git.example.org/acme/dags.git", "https://git.example.org/acme/dags/commit/abc"),
        ("git@git.example.org:acme/dags.git", ""),
    ],
)
def test_a_commit_s_page_at_its_host(address, page):
    assert parse(address).commit_url("abc") == page


REFUSED = (
    "127.0.0.1 127.1 0x7f000001 2130706433 localhost a.localhost localhost. 10.0.0.1 172.16.3.4 192.168.1.1 "
    "169.254.169.254 100.64.0.1 100.100.100.200 0.0.0.0 224.0.0.1 255.255.255.255 ::1 [::1] fe80::1 "
    "fd00:ec2::254 fc00::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::"
).split()


@pytest.mark.parametrize("host", REFUSED)
def test_only_public_addresses_are_asked(host):
    assert "GIT_ADDRESSES" in REPOSITORIES.refusal(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "2606:4700::1111", "github.com", "10.example.org", "::ffff:8.8.8.8"]
)
def test_public_addresses_and_names_are_asked(host):
    assert REPOSITORIES.refusal(host) == ""


@pytest.mark.parametrize("found", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd12::1"])
def test_what_a_name_resolves_to_is_judged_too(found):
    assert found in REPOSITORIES.refusal("git.example.org", found)
    assert REPOSITORIES.refusal("git.example.org", "8.8.8.8") == ""


def test_the_operator_lists_addresses_networks_and_names():
    listed = Listed.of(["10.1.0.0/16", " 192.168.1.5 ", "git.internal", "*.corp.example", "", "::1"])
    assert Listed.of(listed.entries) == listed
    for host, address in (
        ("10.1.2.3", ""),
        ("192.168.1.5", ""),
        ("x.example", "10.1.2.3"),
        ("GIT.internal.", "172.16.0.1"),
        ("git.internal", "127.0.0.1"),
        ("a.corp.example", "10.9.9.9"),
        ("::1", ""),
    ):
        assert REPOSITORIES.refusal(host, address, by=listed) == "", (host, address)
    for host, address in (
        ("10.2.0.1", ""),
        ("192.168.1.6", ""),
        ("other.internal", "172.16.0.1"),
        ("corp.example", "10.9.9.9"),
        (
            "git.internal",
            "169.254.169.254",
        ),  # a name that is listed does not open the clouds' stores of secrets
        ("git.internal", "fd00:ec2::254"),
        ("127.0.0.1", ""),
    ):
        assert REPOSITORIES.refusal(host, address, by=listed), (host, address)


@pytest.mark.parametrize(
    "entry", ["https://git.internal", "10.0.0.0/99", "git internal", "git.internal:22", "*"]
)
def test_an_entry_that_means_nothing_stops_the_start_with_a_sentence(entry):
    with pytest.raises(ValueError, match="GIT_ADDRESSES holds"):
        REPOSITORIES.allow([entry])


def test_the_list_of_the_operator_is_the_processes(monkeypatch):
    monkeypatch.setattr(REPOSITORIES, "listed", Listed.of(["127.0.0.0/8"]))
    assert REPOSITORIES.refusal("127.0.0.1") == ""
    assert git_rules.address_problem("https://127.0.0.1:1/a") == ""
    assert git_rules.address_problem("https://10.0.0.1/a")


@pytest.mark.parametrize("branch", ["main", "release/3.1", "feat-x_y", "ümlaut", "a@b", "v1.0"])
def test_branches(branch):
    assert git_rules.branch_problem(branch) == ""


@pytest.mark.parametrize(
    "branch",
    ["", "-x", "/a", "a/", ".a", "a.", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "@", "a@{1}",
     "a//b", "a/.b", "a.lock", "a.lock/b", "a\nb", "x" * 251],
)  # fmt: skip
def test_what_no_branch_is_called(branch):
    assert git_rules.branch_problem(branch)


def test_subfolders_stay_inside():
    assert git_rules.clean_subfolder(" /team/dags/ ") == "team/dags"
    assert git_rules.clean_subfolder("") == ""
    for text in ("../x", "a/../../b", "a\\b", "a\0", "x" * 501):
        with pytest.raises(ValueError, match=r"Enter"):
            git_rules.clean_subfolder(text)


def test_how_often_and_tokens():
    assert [git_rules.every_problem(n) != "" for n in (None, 1, 1440, 0, 1441)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    https, ssh = parse("https://h.example/a"), parse("git@h.example:a")
    assert git_rules.token_problems(https, "git", "abc") == {}
    assert git_rules.token_problems(ssh, "git", None) == {}
    assert "creates a key" in git_rules.token_problems(ssh, "git", "abc")["token"]
    assert "blanks" in git_rules.token_problems(https, "git", "a\nb")["token"]
    assert "token_user" in git_rules.token_problems(https, "a:b", "abc")


BODY = b'{"ref": "refs/heads/main"}'
GOOD = signature(BODY, "secret")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": f"sha256={GOOD}"},
        {"X-Hub-Signature": f"sha256={GOOD}"},
        {"X-Gitea-Signature": GOOD},
        {"X-Forgejo-Signature": GOOD.upper()},
        {"X-Airdeck-Signature": GOOD},
        {"X-Gitlab-Token": "secret"},
    ],
)
def test_each_host_s_proof_is_taken_and_of_this_secret_and_body_alone(headers):
    assert is_signed(headers, BODY, "secret")
    assert not is_signed(headers, BODY, "Secret")
    assert not is_signed(headers, BODY, "")
    if "X-Gitlab-Token" not in headers:
        assert not is_signed(headers, BODY + b" ", "secret")


@pytest.mark.parametrize(
    "headers", [{}, {"X-Gitlab-Token": ""}, {"X-Hub-Signature-256": "sha256="}, {"X-Gitlab-Token": "é"}]
)
def test_nothing_proves_nothing(headers):
    assert not is_signed(headers, BODY, "secret")
    assert not is_signed(headers, BODY, "")


def test_an_empty_secret_s_signature_is_no_proof():
    assert not is_signed({"X-Gitea-Signature": signature(BODY, "")}, BODY, "")


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("https://gitlab-ci-token:hush@git.example.org/a/b.git", "https://git.example.org/a/b.git"),
        ("https://hush@github.com/a/b", "https://github.com/a/b"),
        ("HTTP://me:h@ush#1?@host:8443/a@b", "HTTP://host:8443/a@b"),
        ("https://host/a.git?private_token=hush", "https://host/a.git"),
        ("https://host/@scope/a.git", "https://host/@scope/a.git"),
        ("https://u:hush@[::1", "https://[::1"),
        ("oauth2:hush@git.example.org/a", "git.example.org/a"),
        ("ssh://git:hush@host:2222/a", "ssh://git@host:2222/a"),
        ("ssh://git@host/a", "ssh://git@host/a"),
        ("git@github.com:acme/dags.git", "git@github.com:acme/dags.git"),
        ("/srv/git/a", "/srv/git/a"),
        ("", ""),
    ],
)
def test_a_remote_is_kept_without_what_lets_its_reader_in(remote, kept):
    assert without_password(remote) == kept
