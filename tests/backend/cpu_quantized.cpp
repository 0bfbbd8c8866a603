// The CPU backend passes the suite: quantised values and their products.
#include "cpu_fixture.hpp"

#include "quantized_suite.hpp"

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_QUANTIZED(CpuFixture)
