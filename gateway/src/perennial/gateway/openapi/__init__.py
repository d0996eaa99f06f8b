"""One OpenAPI and one AsyncAPI document for the whole platform."""
