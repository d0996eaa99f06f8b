"""Benchmarks. Like the services they log from INFO on: to print what nobody reads would be measured, too."""

import logging

import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
