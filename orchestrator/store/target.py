"""Which MLflow a study is mirrored to; knows nothing of MLflow itself, so that a study can be checked without it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.study.checks import without_password
from trainables.errors import InputError

LOCAL_DATABASE = "sqlite:///"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https", "databricks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a study is mirrored to.

    Attributes:
        uri: of a tracking server or a database.
        experiment, study: names.
        storage: the storage folder.
        data: the folders of the study's images.
    """

    uri: str
    experiment: str
    study: str
    storage: Path
    data: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls,
        study: str,
        storage: Path,
        uri: str | None = None,
        experiment: str | None = None,
        data: Iterable[Path] = (),
    ) -> Target:
        """The target a study means: by default a database in its storage, and an experiment of its name.

        Raises:
            InputError: MLflow has no such kind of store.
        """
        storage = storage.absolute()
        uri = uri or f"{LOCAL_DATABASE}{storage / 'mlflow.db'}"
        kind, colon, _ = uri.partition(":")
        if not colon or kind.split("+")[0] not in (*_DATABASES, *_SERVERS):
            raise InputError(
                "this is no MLflow tracking server or database",
                where="tracking.uri",
                value=without_password(uri),
                fix="leave it out, or use http(s)://host:port, sqlite:///path or postgresql://…",
            )
        folders = tuple(folder.absolute() for folder in data)
        return cls(uri=uri, experiment=experiment or study, study=study, storage=storage, data=folders)

    @property
    def artifacts(self) -> str | None:
        """Where the experiment's artifacts go; None for a server, which decides for itself."""
        if self.uri.startswith(_SERVERS):
            return None
        return (self.storage / "mlartifacts" / self.experiment).as_uri()

    @property
    def database(self) -> Path | None:
        """The file of a local database."""
        return Path(self.uri.removeprefix(LOCAL_DATABASE)) if self.uri.startswith(LOCAL_DATABASE) else None

    def ui_command(self, port: int = 5000) -> list[str]:
        """The command that shows this database in a browser, on loopback; empty for a server, which has its own UI."""
        if self.uri.startswith(_SERVERS):
            return []
        return [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]

    @property
    def ui_environment(self) -> dict[str, str]:
        """What ``ui_command`` needs to know: not among its words, which every user of the machine can list."""
        return {"MLFLOW_BACKEND_STORE_URI": self.uri}
