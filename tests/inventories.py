"""Inventories and keys for tests."""

from __future__ import annotations

import base64
import hashlib


def ed25519(seed: str) -> str:
    """Return a well-formed Ed25519 public key line; no private key belongs to it."""
    body = hashlib.sha256(seed.encode()).digest()
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + body
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


KEY = ed25519("web1")
SHOP = f"""\
credentials:
  ops: {{kind: key, secret: ssh/ops}}
  deploy: {{kind: key, secret: ssh/deploy, certificate: ssh/deploy-cert}}
  old: {{kind: password, secret: ssh/old}}
hosts:
  bastion: {{address: 192.0.2.1, user: jump, environment: prod}}
  web1:
    address: 10.0.0.1
    labels: {{role: nginx}}
    variables: {{weight: 5}}
    keys: ["{KEY} root@web1"]
  web2: {{labels: {{role: nginx}}, credential: {{observe: ops, change: deploy}}}}
  web3: {{labels: {{role: nginx}}, environment: test}}
  db1: {{labels: {{role: mariadb, rack: 12}}, sudo: {{secret: sudo/db}}, port: 2222}}
groups:
  all: {{user: ops, via: bastion, labels: {{site: north}}}}
  web:
    select: role=nginx
    variables: {{weight: 1, tls: true}}
  prod:
    hosts: [web1, web2, db1]
    environment: prod
    credential: ops
  everything: {{groups: [web, prod], variables: {{weight: 0, ratio: 0.5}}}}
services:
  shop:
    owner: web-ops
    hosts: {{prod: role=nginx & env=prod, test: role=nginx & env=test}}
    depends: [db]
    links: {{wiki: https://wiki.example.com/shop}}
    files: configs/shop
    health: http://shop.example.com/health
    runbooks: [NGX-010]
  db: {{hosts: {{prod: role=mariadb}}}}
"""
