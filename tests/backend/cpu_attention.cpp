// The CPU backend passes the suite: attention.
#include "cpu_fixture.hpp"

#include "attention_suite.hpp"

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_ATTENTION(CpuFixture)
