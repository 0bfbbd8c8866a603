// Tenancy: its counts, its list of leases, and the lock that guards both.
#include "cotenant/share/tenancy.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <utility>

#include "support.hpp"

namespace ct = cotenant;
using ct::detail::LeaseNode;
using ct::detail::Tenancy;

namespace {

struct Fixture {
  share_tests::FakeClock clock;
  std::shared_ptr<ct::detail::Recorder> recorder = std::make_shared<ct::detail::Recorder>(ct::detail::Clock(clock));
  std::shared_ptr<ct::detail::TypedEntry<float, ct::Heap>> entry = std::make_shared<ct::detail::TypedEntry<float, ct::Heap>>("x", share_tests::ramp());
  Tenancy* tenancy = new Tenancy(entry, std::make_shared<ct::detail::Model>(), recorder);
  bool listed = true;

  void unlist() {
    listed = false;
    if (tenancy->unlist()) delete tenancy;
  }
  ~Fixture() { if (listed) unlist(); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "objects and leases are counted apart") {
  LeaseNode a, b;
  CHECK(tenancy->attach(a, true, {}));
  CHECK(tenancy->attach(b, false, {}));
  tenancy->hold({});  // holds already: nothing more
  CHECK(tenancy->counts().held == 2);
  CHECK(tenancy->counts().objects == 2);
  CHECK(tenancy->counts().hits == 1);
  clock.advance(std::chrono::seconds(5));
  CHECK(tenancy->end_one(clock()));
  CHECK(tenancy->counts().last_release == clock());
  CHECK_FALSE(tenancy->is_linked(a));
  CHECK(tenancy->counts().held == 1);
  CHECK(tenancy->counts().objects == 2);
  CHECK_FALSE(a.release());
  CHECK(tenancy->counts().objects == 1);
  CHECK(b.release());
  CHECK_FALSE(b.release());
  CHECK(tenancy->counts().held == 0);
  CHECK_FALSE(tenancy->end_one(clock()));
}

TEST_CASE_FIXTURE(Fixture, "closing refuses new leases, and is refused while there are any") {
  LeaseNode node;
  CHECK(tenancy->attach(node, true, {}));
  CHECK_FALSE(tenancy->close());
  CHECK(tenancy->end_all(clock()) == 1);
  CHECK_FALSE(tenancy->close());     // the object keeps the bytes
  CHECK(tenancy->close(true));
  LeaseNode late;
  CHECK_FALSE(tenancy->attach(late, true, {}));
  CHECK(late.tenancy() == nullptr);
  CHECK_FALSE(tenancy->attach_beside(node, late));
  tenancy->reopen();
  CHECK(tenancy->attach(late, true, {}));
  LeaseNode other;
  CHECK(tenancy->attach_beside(late, other));
  CHECK(tenancy->counts().held == 2);
}

TEST_CASE_FIXTURE(Fixture, "the last object of an unlisted tenancy frees it and its entry") {
  const std::weak_ptr<ct::detail::Entry> watched = entry;
  entry.reset();
  LeaseNode a, b;
  CHECK(tenancy->attach(a, true, {}));
  CHECK(tenancy->attach(b, true, {}));
  unlist();
  a.release();
  CHECK_FALSE(watched.expired());
  LeaseNode moved(std::move(b));
  CHECK_FALSE(b.release());
  CHECK(moved.release());
  CHECK(watched.expired());
}

TEST_CASE_FIXTURE(Fixture, "moving keeps the order of the list") {
  LeaseNode a, b, c;
  CHECK((tenancy->attach(a, true, {}) && tenancy->attach(b, true, {}) && tenancy->attach(c, true, {})));
  LeaseNode moved(std::move(a));
  CHECK(tenancy->end_one(clock()));  // still the oldest
  CHECK_FALSE(tenancy->is_linked(moved));
  CHECK(tenancy->is_linked(b));
  c = std::move(b);  // releases c's own lease
  CHECK(tenancy->counts().held == 1);
  CHECK(tenancy->is_linked(c));
}
