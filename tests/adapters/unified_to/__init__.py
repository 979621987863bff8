import pytest

pytest.register_assert_rewrite("tests.adapters.contract", "tests.adapters.sending", "tests.adapters.writing_contract")
