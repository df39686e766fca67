"""A fleet to try things on: real sshd on loopback addresses, an identity each, gone when it is taken down."""
