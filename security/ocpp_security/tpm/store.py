"""Keys in a TPM, their wrapped blobs or persistent handles named by files, beside keys that are not in it."""

from contextlib import suppress
from pathlib import Path

from ..keys import disk, tss2
from ..keys.errors import KeyFormatError, KeyStoreError
from ..keys.files import FileKeyStore
from ..keys.secret import SecretSource, no_secret
from ..keys.store import KeyAlgorithm, PrivateKey, PublicKey
from .connection import Esapi, Handle, Place, TpmConnection
from .errors import TpmAbsentError
from .keys import TpmKey, checked_public, read_public, template_for
from .provider import Provider

from tpm2_pytss import ESYS_TR  # isort: skip  # after .connection, which says what to install if it is missing


class TpmKeyStore(FileKeyStore):
    """Keys of a TPM in a directory of ``NAME.key`` files.

    New keys are made in the TPM. Their files hold what the TPM gave out: the private part encrypted, of no
    use elsewhere. Ordinary key files in the same directory are loaded as :class:`FileKeyStore` does, so that
    a station that got a TPM keeps the key of its old certificate until that is renewed.

    Arguments:
        directory: made if it is not there.
        connection: the TPM.
        auth: asked for the authorisation value of each TPM key; a new key has one if this gives one.
        password: asked for the password of each key that is not in the TPM.
        provider: TLS goes through it instead of through the signing callback.

    Raises:
        KeyStorageError: the directory cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        connection: TpmConnection,
        *,
        auth: SecretSource = no_secret,
        password: SecretSource = no_secret,
        provider: Provider | None = None,
    ) -> None:
        super().__init__(directory, password)
        self._connection = connection
        self._auth = auth
        self._provider = provider

    def create(self, name: str, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> PrivateKey:
        """See :meth:`KeyStore.create`; also TpmUnsupportedError: this TPM makes no such keys."""
        path = self._path(name)
        wrapped = self._connection.create(f"making key {name!r}", template_for(algorithm), self._auth(name))
        disk.write_new(path, tss2.KeyFile(None, wrapped).encode())
        return self._key(name, path, wrapped, wrapped)

    def adopt(self, name: str, handle: int) -> PrivateKey:
        """Give a name to a persistent key that is in the TPM, put there by the factory.

        Arguments:
            handle: 0x81000000 to 0x817fffff.

        Raises:
            TpmHandleError: there is no key. TpmUnsupportedError: it is not one to sign with. What
            :meth:`create` raises.
        """
        path = self._path(name)
        public_key = self._public_behind(tss2.check_handle(handle))
        disk.write_new(path, tss2.KeyFile(handle, None).encode())
        return self._tpm_key(name, public_key, handle, path)

    def persist(self, name: str, handle: int) -> PrivateKey:
        """Keep a key of this store in the TPM itself, where it need not be loaded before use.

        The file goes on to hold the blob, too: should the handle come to be another key's, the blob is used.
        If power loss has left the key behind the handle already, only the file is written.

        Raises:
            TpmHandleError: the handle is taken. TpmFullError: no room for persistent keys. KeyFormatError:
            the key is not one of the TPM's, or is persistent already. What :meth:`load` raises.
        """
        path = self._path(name)
        file = tss2.parse(disk.read(path))
        if file.wrapped is None or file.handle is not None:
            raise KeyFormatError(f"the key {name!r} is persistent already")
        tss2.check_handle(handle)

        def evict(esapi: Esapi, key: Handle, _session: Handle) -> None:
            esapi.tr_close(esapi.evict_control(ESYS_TR.OWNER, key, handle))

        if not self._holds(handle, file.wrapped):
            doing = f"making key {name!r} persistent"
            self._connection.with_key(doing, file.wrapped, self._auth(name), evict)
        disk.replace(path, tss2.KeyFile(handle, file.wrapped).encode())
        return self._key(name, path, file.wrapped, handle)

    def delete(self, name: str) -> None:
        """See :meth:`KeyStore.delete`.

        A key that :meth:`persist` put into the TPM is removed from there, too; one that was adopted stays.
        Also TpmError: it could not be removed from there, and its file stays, so that it can be later.
        """
        path = self._path(name)
        data = disk.read(path)
        if tss2.is_tpm_file(data):
            file = tss2.parse(data)
            if (
                file.handle is not None
                and file.wrapped is not None
                and self._holds(file.handle, file.wrapped)
            ):
                self._remove_persistent(name, file.handle)
        disk.remove(path)

    def _load_tpm(self, name: str, path: Path, data: bytes) -> PrivateKey:
        file = tss2.parse(data)
        if file.wrapped is None:
            assert file.handle is not None
            return self._tpm_key(name, self._public_behind(file.handle), file.handle, path)
        place: Place = file.wrapped
        with suppress(TpmAbsentError):  # the blob will do when it is there again
            if file.handle is not None and self._holds(file.handle, file.wrapped):
                place = file.handle
        return self._key(name, path, file.wrapped, place)

    def _key(self, name: str, path: Path, wrapped: tss2.WrappedKey, place: Place) -> PrivateKey:
        return self._tpm_key(name, read_public(wrapped.public), place, path)

    def _tpm_key(self, name: str, public_key: PublicKey, place: Place, path: Path) -> PrivateKey:
        return TpmKey(name, public_key, self._connection, place, self._auth, path, self._provider)

    def _public_behind(self, handle: int) -> PublicKey:
        def read(esapi: Esapi, key: Handle, _session: Handle) -> PublicKey:
            public, _, _ = esapi.read_public(key)
            return checked_public(public.publicArea)

        return self._connection.with_key(f"looking at {handle:#x}", handle, None, read)

    def _holds(self, handle: int, wrapped: tss2.WrappedKey) -> bool:
        """Whether the key of a blob is behind a handle. Raises TpmAbsentError."""
        try:
            return self._public_behind(handle) == read_public(wrapped.public)
        except TpmAbsentError:
            raise
        except KeyStoreError:  # nothing is, or something else
            return False

    def _remove_persistent(self, name: str, handle: int) -> None:
        def evict(esapi: Esapi, key: Handle, _session: Handle) -> None:
            esapi.evict_control(ESYS_TR.OWNER, key, handle)

        self._connection.with_key(f"removing key {name!r}", handle, None, evict)
        self._connection.forget(handle)
