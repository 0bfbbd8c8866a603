// The Backend contract: what meets it, and that a missing kernel does not.
#include <cotenant/ops/backend.hpp>

#include "support.hpp"

namespace cotenant::test {
namespace {
// Everything but matmul.
struct WithoutMatmul : Reference {
  template <class A> void matmul(const A&) const = delete;
};
struct NotABackend {};
}  // namespace

static_assert(Backend<Reference>);
static_assert(!Backend<WithoutMatmul>);
static_assert(!Backend<NotABackend>);

TEST_CASE("a storage names its backend, and a backend its storage") {
  static_assert(std::same_as<backend_of<ReferenceHeap>, Reference> && std::same_as<Reference::storage_type, ReferenceHeap>);
  CHECK(Reference::name() == "reference");
}
}  // namespace cotenant::test
