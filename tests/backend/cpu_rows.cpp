// The CPU backend passes the suite: softmax, reductions, top_k, norms, gather, quantisation.
#include "cpu_fixture.hpp"

using cotenant::test::CpuFixture;
TYPE_TO_STRING(CpuFixture);
COTENANT_BACKEND_SUITE_ROWS(CpuFixture)
