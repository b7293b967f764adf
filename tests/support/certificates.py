"""Certificates for tests, made with the openssl command: an authority, and servers that it vouches for."""

import subprocess


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Authority:
    """An authority in a folder; clients that trust `ca` trust its servers."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / "ca.pem"
        self_signed(folder, "ca", "/CN=Lade test authority", "basicConstraints=critical,CA:TRUE")

    def server(self, name, to):
        """Writes the certificate and key of a server on this machine to `to`.pem and `to`.key."""
        request = self.folder / f"{to.name}.csr"
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        key = to.with_suffix(".key.new")
        certificate = to.with_suffix(".pem.new")
        openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl(self.folder, "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key",
                "-CAcreateserial", "-out", certificate, "-days", "30", "-extfile", extensions)
        key.rename(to.with_suffix(".key"))
        certificate.rename(to.with_suffix(".pem"))
        return to.with_suffix(".pem"), to.with_suffix(".key")


def self_signed(folder, name, subject, *extensions):
    """Writes a certificate that vouches for itself, and its key, to `name`.pem and `name`.key."""
    more = [word for extension in extensions for word in ("-addext", extension)]
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "30", "-subj", subject, *more)
    return folder / f"{name}.pem", folder / f"{name}.key"
