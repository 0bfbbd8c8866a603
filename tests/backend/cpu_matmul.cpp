// The CPU backend passes the suite: products.
#include "cpu_fixture.hpp"

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_MATMUL(CpuFixture)
