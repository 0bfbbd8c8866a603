// The CPU backend passes the suite: attention, softmax along odd axes, norms with a residual, rotary.
#include "cpu_fixture.hpp"

#include "attention_suite.hpp"
#include "rows_suite.hpp"

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_ATTENTION(CpuFixture)
COTENANT_BACKEND_SUITE_MORE_ROWS(CpuFixture)
