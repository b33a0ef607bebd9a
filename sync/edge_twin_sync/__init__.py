"""The way out: outbox, envelope, keys, MQTT client and the central gateway.

A record leaves a device only from the outbox, sealed, and its row is deleted only when the centre has
said, signed, that its own database committed it. Everything else here serves that one sentence.
"""
