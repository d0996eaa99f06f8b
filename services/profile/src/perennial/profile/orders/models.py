"""The customer's orders, as common keeps them."""

from perennial.common.orders import order_table
from perennial.profile.models import metadata

purchase = order_table(metadata)
