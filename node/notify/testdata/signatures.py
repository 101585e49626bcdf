"""Writes signatures.json: what hmac and base64 of Python make of some messages, by the text of Standard Webhooks. Run: python3 signatures.py >signatures.json"""
import base64
import hashlib
import hmac
import json

CASES = [
    ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'),
    (base64.b64encode(bytes(range(24))).decode(), "01JDQ4V0G3X8Z0R6S9M1K2T7BC", 0, "{}"),
    (base64.b64encode(bytes(range(64))).decode(), "01JDQ4V0G3X8Z0R6S9M1K2T7BC", 4102444800, '{"kind":"block","text":"don\u2019t"}'),
    (base64.b64encode(b"\xff" * 32).decode(), "a", 1732867200, "x" * 32768),
]
print(json.dumps([{
    "secret": secret, "id": ident, "time": at, "body": body,
    "signature": "v1," + base64.b64encode(hmac.new(base64.b64decode(secret), f"{ident}.{at}.{body}".encode(), hashlib.sha256).digest()).decode(),
} for secret, ident, at, body in CASES], indent=1))
