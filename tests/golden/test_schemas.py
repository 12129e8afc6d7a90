"""The schemas: data, fingerprints and defaults must not change unnoticed. Documentation may.

To change a schema, follow "Changing a schema" in `schemas/README.md`, then record the new values here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import fingerprint_of, load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from tests.harness import records

RAW = load_schemas(SCHEMAS)
HISTORY = sorted((SCHEMAS / "history").glob("*.avsc"))

#: Per schema: the fingerprint in the header of records, and the digest of the schema without its documentation.
RECORDED = {
    "address_event": ("c5ae22758b7f2e9d", "55169a7a7acd7f96a239b4a2de674132ae4bc671f40c793bb77402ccf3447154"),
    "attributed_engagement": ("03657eb161cd374c", "941ba34a7e7e17a1ae85c9ebf03953acbadac582b410c028551683982b70b091"),
    "browsing": ("116c45fc8e425c61", "7b52d754f34dfb3c2b8aed4a2f51c8a6e5414edd11130aeaafc7d94a6f4feea1"),
    "checkpoint": ("92c5288eeb402897", "6477aed3c5e87e40a2fff0962a21a358d40e068067e8f9a58b33f5a8f4ba9fd1"),
    "claim_withdrawal": ("e852155f3103b4ff", "fc3f6f4aa5161bef01b5aea9efa5d865f07e3ee73b8fe36e4a48f5e6c20ea757"),
    "code_claim": ("d757acabbaaa8668", "cba1803864e7d0105802d01ba0d53118f62fd151794692db77d9d27ff26f6df6"),
    "code_grant": ("735b8b234a325824", "bf155d2699ebd209e3054581cfc4a1bf47f7559ac1302a22b2e25578258453e7"),
    "contact_pressure": ("26a2ee77d8aeaf9f", "d1d7a4e8d635ad9d4821ca4127a5344994ede567d50f48b41f1fdc84a25785e8"),
    "contest_entry": ("221ef73f7fc53f6f", "947f94355fb16149d01fba42f97873fc38989e68040d6cddd62a3bdabbc272a5"),
    "crash_note": ("0dbd1e61ec748ff0", "8286b5d015842776def0c533c22111a1194abf652c9aee95df6b2d99351e381d"),
    "customer": ("8d1027dbca1bbecc", "03e457cc1b23db37975bf49f0d442e404fc918e4eb7b77fb46d4a6ed76496018"),
    "customer_handover": ("9734bb4ca73a6128", "f4083ba485dbce5da5ae2811912a703dd95561664a53507bfa663d481b84c2e7"),
    "customer_page": ("b3f68d9f9e574dd5", "ce6b3df422ab3208c3b9e1e97e256a18711537b8f6073bb6c0df2482d667f224"),
    "customer_request": ("de041ae94e0bfdb8", "99c369fb90f31a86d328f29708f85664d3211feafb5a74077e187c8348b21c2b"),
    "dead_letter": ("48932ddd7d2338f8", "f556e3d30bce86450e088bedd907d8d5fcf17589c3392fba2949e184b867c659"),
    "discount_code": ("66b8b5849d34b640", "b0bb8d33ba5119374bd81e5e7c93ea21cc5e76e3105c4b77a66ea120699ad19b"),
    "email_command": ("75d8573d9c3e5068", "780f8c7644eb6621dfc3c3262e9e74882eb866af53b0ddfede6627dd4578d544"),
    "email_event": ("7cce09967868f10c", "4d7b48a8c0e3ab1287a26a082168accc02d0b7480f9534c4f7566dfd74899532"),
    "engagement": ("cc35576b8edb1672", "4fc6f0a02c41ad74fae617b98d48bd62af6b6b8b5a35171f4f280ea0cc80b17c"),
    "flow_decision": ("29a54dd1094d48d0", "e83d145de863ea8382be43f75b8af4c934f6392b88758ef0a1326116504003a7"),
    "heartbeat": ("89a42b9f83e86170", "503855b0228610fe3a4103c80f0c56e7780a50cfdd8764a83a02942dedc22633"),
    "order": ("3484d7dd5376fe64", "d1400c5e839dd3b4886445e9de420ed6a43f4efca81d1eb2175c6be95722540d"),
    "popularity": ("46974de9119b8f51", "7dfc4d02307a15dfcd22cbde59f0e1822d10a09f35cd3f01d36c7450ac295fc8"),
    "product": ("87bff3cda7eba0e6", "6ee3976f110b2337ee45ffc1b89c784b36eefc592f68b577a291b3c9c22eff1d"),
    "product_change": ("81cb360ae758ce1d", "2043de776da9cb5496f2eccd8258097e49f7861577101919df359934e0fe3014"),
    "product_interest": ("c2629cfdb3de672f", "b7467e1327f333b952c7134589f40ccf3975d1b485764bc6e67bac4eddf37dc6"),
    "published_templates": ("2c557f7557e11b62", "7af48d29e731598bfb367af0238045b7320f605a90590ccb97867a523d78f522"),
    "reorder": ("eec800100477b9bf", "39d0fda453973e45e86c8af81e8b931587f2b04ec5788dc917e8bf4bb89353cf"),
    "review": ("e54d7b4862081765", "470513e9ba3e08087ef1139786f6479eab37b5bbb2b0398fe20bedd87ca79eda"),
    "reward": ("f31f8b14e68e26c1", "af7f3b64722872d9b59060c3037a078e782a8d538042bf0d669732e86d81010b"),
    "sales": ("10f913f7e559b5b1", "c86fe825386c2cc0bd52a13ee68536ba8bdf7522aa544a9e2dadde087fad23d6"),
    "shipment": ("a25148a7acad2da0", "c803dca9ef1a0809137f67127a58c8e59260beeba449401b14df2d9243e5d7df"),
    "signal": ("a29b428ac36f4afc", "5f28f49d2bff2bad1959346b3b7974dbdceb96ec962c1f99d8c48b652e939f7b"),
    "suppression": ("f09630becd72613e", "f96810e55e299c83fbb7dca03c34d69e0009ea463a1d4c99379f0ee5a3cfd980"),
    "timer": ("5d8e0786771eb30a", "9d48c652837d339060e95c647acef2a5b99ef3a4a3e5f6a71fa56ed1732c1a8d"),
    "withdrawal": ("e96e87f933c08360", "96a5a49e6415fbbf56a2cc3b44e7e645b06d52d0d0dc372138e800a27eedce09"),
}
#: The SHA-256 of former versions, which are never edited.
RECORDED_HISTORY = {
    "browsing-32c72a0a83ee08d5": "5b9b6ae9127585a3031a8d6c09c9acdf7eee5c16bf3d7f5e590030a0e19ef0b2",
    "browsing-591384a9b661b002": "e65d77ea38eba3a53a77e9fd2bc597fefd76e30367f6546315cb36ef16f242e0",
    "checkpoint-06deb2326e1b3d46": "5a5cb8d332153cd6fcdf87f4747ef77d8b90a476676fa76a1b8019ffd1c5b91a",
    "customer-0ae0b7f6a0000e7d": "0559281c858f70f196ccb1fd63ca048b9895f7b7502e16def599824d7411b39e",
    "customer-0e2e5fb6e8034c3e": "8fa4204734ec29656bf6525316ddd54ac147c986764bda521f8a0aac453bdbd0",
    "customer-f4edf67fe25064ed": "3afd84229f027928b8c1ff95c2671e06fe8f7f99ea4cd34f64b411eda5ce1744",
    "customer_page-ba7d5265cd3c10f7": "42c8be3b945207b429c85ddceeae2fb1be43966968ec826545b9f15b6951eec9",
    "dead_letter-96e8b34d540c219d": "6b0811ff21deeed0951fcf21d56a8ca1f8ac16954d37c60c778e0e5965fee917",
    "engagement-0fced52a21dcae56": "3d8344e378c3832446879060efc71d47f3794e049dfb00e5d7808c70f50508f7",
    "engagement-5e5db1e26736bee0": "b35120c28123ec9ef1cf11709ec7268441d2af1eeff65d5afc62dfa67fc8a56e",
    "engagement-375e672850b8d6f8": "7438c9c97bdf8f2502c4cb8a39f39bbcf8fe728b0e5adcfde2a9ff27b73bf65f",
    "flow_decision-79b462150163c3c5": "6ad0d3741a3cf5fac7d533b5d0c4e2897229bcb81f0d86d821dcd3fe2853b1be",
    "email_command-3be0f52597c456a0": "9452b17a211e6bacde2a7bed29732b4cb087a23b08e99de9b1684622f9e04531",
    "order-a89e7bd79daa209f": "3a70d29b3bb5a00949b4868ac00a185e15568bd97b378a639bd3067ca7c26533",
    "order-aa3e540ee1eb0884": "10ab75a5967243e5ea1dfab6a802f64ece01e50ae8b737710973995533724d49",
    "order-ed5f49f825c700af": "fb4a2a54855c57252841c35d04c5fd038cafad1631884419f3f0faf5e2e424dd",
    "order-1c60e4442fd73e6b": "fa7a06409f384561898032acd67c2a18777b28ba33744c031dc88d58003d040c",
    "product-8b14e3fe9f82cce2": "75b5bf5e15db122c8a92f1d48792776b138b492d7e5baa5d04d5bccc3968c4fb",
    "product-a1a91fc7f036b3cf": "e4feb57026223c873874dbb6d4fe4fdb21ddb8e148a4801a1e251ddad3591e4b",
    "shipment-0a5e3261326527d1": "60d87e258d99135e361daad0ab050c4e08800e1cf31b3fcfb07fe94d46584e1d",
    "signal-1809690301b95851": "e56e9e3e08d864ed0a95875a2498149f44fc8f80dddb92b41fca3e19adbb62b3",
}


def without_documentation(schema: Any) -> Any:
    """Return the schema without `doc` in its records, enums and fields."""
    if isinstance(schema, list):
        return [without_documentation(part) for part in schema]
    if isinstance(schema, dict):
        return {key: without_documentation(value) for key, value in schema.items() if key != "doc"}
    return schema


def digest_of(schema: Any) -> str:
    """Return the SHA-256 of a schema without its documentation. The order of fields and symbols counts."""
    return hashlib.sha256(json.dumps(without_documentation(schema), sort_keys=True).encode()).hexdigest()


def test_every_schema_is_recorded() -> None:
    """A schema that is missing here could change unnoticed."""
    assert set(RAW) == set(RECORDED)
    assert {path.stem for path in HISTORY} == set(RECORDED_HISTORY)


@pytest.mark.parametrize("name", sorted(RAW))
def test_schema_has_the_recorded_fingerprint_and_structure(name: str) -> None:
    """The fingerprint of the parsing canonical form, the logical types and the defaults are as recorded."""
    assert (fingerprint_of(RAW[name]).hex(), digest_of(RAW[name])) == RECORDED[name]


@pytest.mark.parametrize("path", HISTORY, ids=lambda path: path.stem)
def test_former_version_is_unchanged_and_named_after_its_fingerprint(path: Path) -> None:
    """Files in `history/` keep their bytes, and readers find them by the fingerprint in the name."""
    assert hashlib.sha256(path.read_bytes()).hexdigest() == RECORDED_HISTORY[path.stem]
    fingerprint = fingerprint_of(json.loads(path.read_text(encoding="utf-8"))).hex()
    assert path.stem.endswith(f"-{fingerprint}")


def test_documentation_does_not_change_the_encoded_bytes() -> None:
    """Records of a schema with and without documentation have the same bytes, header included."""
    undocumented = Codec({"order": without_documentation(RAW["order"])})
    assert undocumented.encode("order", records.order()) == open_codec().encode("order", records.order())


def test_registry_versions_that_differ_in_documentation_are_both_readable() -> None:
    """A registry gives changed documentation a new version and id; records of both ids decode to the same values."""
    registry = SchemaRegistryClient.new_client({"url": "mock://documentation"})
    write = AvroSerializer(registry, json.dumps(without_documentation(RAW["order"])))
    earlier = write(records.order(), SerializationContext(topics.ORDERS, MessageField.VALUE))
    codec = open_codec(registry=registry)
    later = codec.encode("order", records.order())
    assert earlier is not None
    assert earlier[:5] != later[:5]
    assert len(registry.get_versions("orders-value")) == 2
    assert codec.decode("order", earlier) == codec.decode("order", later) == records.order()
