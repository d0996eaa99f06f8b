"""What journeys read of customers: traits, events, memberships, as other services said them."""
