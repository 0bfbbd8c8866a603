// SpillTarget as the tests' own target implements it: keys of two managers never meet.
#include "cotenant/share/spill.hpp"

#include <doctest/doctest.h>

#include <memory>

#include "cotenant/share/manager.hpp"
#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

TEST_CASE("two managers may spill to one target, which is left empty when they are gone") {
  const auto spill = std::make_shared<MemorySpill>();
  {
    ct::TensorSharingManager one{{.spill = spill}}, two{{.spill = spill}};
    one.register_tensor("x", ramp());
    two.register_tensor("x", ct::zeros<float>({16}));
    CHECK(one.optimize_memory().evicted_names.size() == 1);
    CHECK(two.optimize_memory().evicted_names.size() == 1);
    CHECK(spill->count() == 2);
    CHECK(one.get<float>("x", "m")->view()(5) == 5.0f);
    CHECK(two.get<float>("x", "m")->view()(5) == 0.0f);
    CHECK(one.optimize_memory().evicted_names.size() == 1);
  }
  CHECK(spill->count() == 0);
  CHECK(spill->wrong == 0);
  CHECK(spill->saves == 2);
}
