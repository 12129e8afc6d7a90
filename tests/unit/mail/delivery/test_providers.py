"""The provider of a mailbox, by the domain of its address."""

from __future__ import annotations

import pytest

from streams.mail.delivery.providers import Provider, provider_of


@pytest.mark.parametrize(
    ("provider", "domains"),
    [
        ("gmail", "gmail.com googlemail.com Gmail.COM gmail.com."),
        ("microsoft", "outlook.com hotmail.com live.com msn.com outlook.de hotmail.co.uk live.dk outlook.com.br"),
        ("yahoo", "yahoo.com yahoo.de yahoo.co.uk yahoo.com.br ymail.com rocketmail.com aol.com aol.de"),
        ("apple", "icloud.com me.com mac.com privaterelay.appleid.com"),
        ("gmx_webde", "gmx.de gmx.net gmx.at gmx.com web.de"),
        (
            "other",
            "shop.example gmail.com.example mail.gmail.com notgmail.com outlook.shop.example mac.com.example web.dev",
        ),
        ("other", "hotmail.example.com gmx.shop yahoo.inc.example me.de"),
    ],
)
def test_well_known_domains(provider: Provider, domains: str) -> None:
    """Well-known domains and their country forms belong to a provider. Other domains that contain such a name do not."""
    assert {domain: provider_of(f"anna@{domain}") for domain in domains.split()} == dict.fromkeys(
        domains.split(), provider
    )


@pytest.mark.parametrize("address", ["", "anna", "@", "anna@", "gmail.com@shop.example"])
def test_an_unusual_address(address: str) -> None:
    """The provider of an address without a well-known domain is `other`, whatever the address contains."""
    assert provider_of(address) == "other"


def test_the_last_at_sign_separates_the_domain() -> None:
    """The domain is the part after the last @: the part before it may be quoted and contain another one."""
    assert provider_of('"anna@shop.example"@gmail.com') == "gmail"
