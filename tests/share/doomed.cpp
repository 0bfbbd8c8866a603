// Doomed: everything goes with it, and the spill target is told.
#include "cotenant/share/doomed.hpp"

#include <vector>

#include "memory_spill.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace ct::detail;

TEST_CASE("what is doomed goes at the end, entries after their tenancies") {
  bool freed = false;
  std::vector<float> memory(16);
  share_tests::MemorySpill target;
  target.save("key", memory.data(), 64, {});
  {
    Doomed doomed(&target);
    {
      auto entry = std::make_shared<TypedEntry<float, ct::Borrowed>>("x", ct::borrow(std::span<float>(memory), {16}, [&freed] { freed = true; }));
      doomed.tenancies.push_back(new Tenancy(entry, std::make_shared<Model>(), std::make_shared<Recorder>(Clock({}))));
      doomed.holds.emplace_back(entry->block);
      doomed.entries.push_back(std::move(entry));
      doomed.others.push_back(std::make_shared<const int>(1));
      doomed.spilled.push_back("key");
    }
    CHECK_FALSE(freed);
    CHECK(target.count() == 1);
  }
  CHECK(freed);
  CHECK(target.count() == 0);
  CHECK(target.wrong == 0);
  { Doomed nowhere(nullptr); nowhere.spilled.push_back("key"); }
}
