"""The sizes of logs, the webhooks that were taken, and agents' peers in the usual way of writing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kraken_fleet.listen import plain_address

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables, count the logs that are there, and write `10.0.0.1` where a peer is `::ffff:10.0.0.1`.

    An authorized agent may connect from its peer only, which is compared as text.
    """
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
    )
    op.create_table(
        "log_sizes",
        sa.Column("job", sa.Integer, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
    )
    connection = op.get_bind()
    # A line counts for its text and 100 bytes.
    lines = "SELECT job, sum(length(message) + 100) FROM log_lines GROUP BY job"
    connection.exec_driver_sql(f"INSERT INTO log_sizes (job, size) {lines}")
    peers = connection.exec_driver_sql("SELECT id, ip_address FROM agents WHERE ip_address IS NOT NULL").all()
    for agent_id, peer in peers:
        if (plain := plain_address(peer)) != peer:
            connection.exec_driver_sql("UPDATE agents SET ip_address = ? WHERE id = ?", (plain, agent_id))
