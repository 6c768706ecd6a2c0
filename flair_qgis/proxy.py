"""The proxy settings of QGIS, for programs that QGIS starts."""

from __future__ import annotations

import re
from typing import Dict, Optional
from urllib.parse import quote

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkProxy

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def proxy_variables(proxy: Optional[QNetworkProxy] = None, exceptions: Optional[str] = None) -> Dict[str, str]:
    """Return the environment variables that stand for QGIS's proxy; empty when it has none.

    Args:
        proxy: Proxy to pass on; default: the one in QGIS's options, with its credentials.
        exceptions: Hosts without proxy, separated by commas; default: those in QGIS's options.
    """
    manager = QgsNetworkAccessManager.instance()
    proxy = manager.fallbackProxy() if proxy is None else proxy
    kinds = {
        QNetworkProxy.ProxyType.HttpProxy: "http",
        QNetworkProxy.ProxyType.HttpCachingProxy: "http",
        QNetworkProxy.ProxyType.Socks5Proxy: "socks5",
    }
    scheme = kinds.get(proxy.type())
    if scheme is None or not proxy.hostName():
        return {}
    user = quote(proxy.user(), safe="")
    if user and proxy.password():
        user += ":" + quote(proxy.password(), safe="")
    port = f":{proxy.port()}" if proxy.port() else ""
    address = f"{scheme}://{user + '@' if user else ''}{proxy.hostName()}{port}"
    result = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), address)
    # both spellings, as programs read one or the other
    result.update({name.lower(): value for name, value in list(result.items())})
    if exceptions is None:
        exceptions = ",".join(_host(entry) for entry in manager.noProxyList() + manager.excludeList() if _host(entry))
    if exceptions:
        result["NO_PROXY"] = result["no_proxy"] = exceptions
    return result


def _host(entry: str) -> str:
    # QGIS excludes by the start of an address
    return entry.partition("://")[2].partition("/")[0] if "://" in entry else entry.partition("/")[0]


def without_credentials(text: str) -> str:
    """Return a text whose addresses name no user and no password."""
    return _CREDENTIALS.sub("***@", text)
