"""SSH as a transport, by paramiko, which nobody else imports.

``wire`` is the protocol as we speak it, ``keys`` the pinned host keys, ``login`` the credentials, ``connection`` how
a host is reached (jump hosts, bounds, retries), ``session`` one program on one channel, ``transport`` what a machine
sees.
"""
