"""The unmodified Kraken server from PyPI with everything it needs, brought up from nothing and taken down again.

    python tests/real_server up | status | down

One file per service; `plan.py` says what an instance is, `up.py` and `down.py` start and stop the services in order.
The server's code is never touched: what an old ClickHouse lacks is made up for in `clickhouse.py` and
`log_receiver.py`.
"""
