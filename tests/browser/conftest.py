"""The browser's tests use the daemons of the integration tests."""

import importlib.util
import os
import sys

INTEGRATION = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                           "integration")
sys.path.insert(0, INTEGRATION)
spec = importlib.util.spec_from_file_location("integration_conftest",
                                              os.path.join(INTEGRATION, "conftest.py"))
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)

directory, daemon = shared.directory, shared.daemon
pytest_configure = shared.pytest_configure
pytest_runtest_makereport = shared.pytest_runtest_makereport
