// The CPU, the reference and the deferred backend pass WebNN's conformance cases.
#include <cotenant/cotenant.hpp>

#include "deferred.hpp"
#include "wpt_suite.hpp"

namespace cotenant::test {
namespace {
struct HeapCases {
  using storage_type = Heap;
  static Heap storage() { return {}; }
  template <class F> static void for_each_configuration(F f) { f(); }
};
struct ReferenceCases {
  using storage_type = ReferenceHeap;
  static ReferenceHeap storage() { return {}; }
  template <class F> static void for_each_configuration(F f) { f(); }
};
struct DeferredCases {
  using storage_type = DeferredMemory;
  static DeferredMemory storage() {
    static Deferred& device = *new Deferred;
    return device.storage();
  }
  template <class F> static void for_each_configuration(F f) { f(); }
};
}  // namespace
}  // namespace cotenant::test

using namespace cotenant::test;
TYPE_TO_STRING(HeapCases);
TYPE_TO_STRING(ReferenceCases);
TYPE_TO_STRING(DeferredCases);
COTENANT_BACKEND_SUITE_WPT(HeapCases, ReferenceCases, DeferredCases)
