"""List the contents of the wheel: the packages, the site script, the pages of tools, and the schemas and templates as `streams/share/`.

All other metadata is in pyproject.toml, which cannot describe data outside a package.
"""

from setuptools import find_packages, setup

SHARED = ("schemas", "templates")

setup(
    packages=[*find_packages(include=["streams", "streams.*"]), *(f"streams.share.{folder}" for folder in SHARED)],
    package_dir={f"streams.share.{folder}": folder for folder in SHARED},
    package_data={
        **{f"streams.share.{folder}": ["**/*"] for folder in SHARED},
        "streams.gateway.site": ["*.js"],
        "streams.mail.rendering.documents": ["fonts/*"],
        "streams.tools.local.inbox": ["assets/*"],
        "streams.tools.preview": ["assets/*"],
        "streams.tools.stories": ["*.yaml", "shipped/*.yaml"],
    },
)
