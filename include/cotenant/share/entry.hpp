// Entry: one registered tensor, or a form of one, as the registry knows it; and a model by name.
#ifndef COTENANT_SHARE_ENTRY_HPP
#define COTENANT_SHARE_ENTRY_HPP
#include <atomic>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/share/byte_ranges.hpp"
#include "cotenant/share/element_rows.hpp"
#include "cotenant/share/options.hpp"
#include "cotenant/share/quantized_tensor.hpp"

namespace cotenant::detail {

class Tenancy;

// A registered name. The first group is fixed at registration; the second belongs to the registry's mutex.
struct Entry : std::enable_shared_from_this<Entry> {
  std::string name;
  std::string producer;
  std::string source;  // a view made by create_view, or a form: the name it was made of
  std::string form;    // what was done to that, of a form; it is listed with its source's block, not by name
  DType dtype = DType::f32;
  Layout layout;
  std::shared_ptr<const ByteRanges> ranges;  // the bytes of its elements
  Block* block = nullptr;
  std::shared_ptr<const QuantizedParameters> parameters;  // of quantised values that came with their scale
  const Block* made_of = nullptr;                         // a form: the block of its source, while that is registered

  bool pinned = false;
  std::set<std::string, std::less<>> grants;
  TimePoint fresh_since{};  // registration, latest grant, or latest release by a model that is not listed any more
  std::vector<Tenancy*> tenancies;
  std::size_t order = 0;  // of registration
  std::size_t version = 1;  // write leases that ended, and one
  double priority = 1;
  std::string writer;       // the model whose write lease is under way
  bool past = false;        // a write has replaced it; it is kept for the Lease objects that look at it
  mutable std::atomic<std::size_t> sample{0};  // a hash of a few of its bytes, once somebody needed it

  Entry() = default;
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  virtual ~Entry() = default;
  // The same name on another block, where the parameters of quantised values lie as they do here.
  virtual std::shared_ptr<Entry> on(const BlockRef& other, const Layout& there) const = 0;
  // Another layout of the same block.
  virtual std::shared_ptr<Entry> with(std::string other_name, const Layout& there) const = 0;
  bool is_form() const { return !form.empty(); }
  // With the parameters of quantised values.
  std::size_t element_bytes() const {
    const std::size_t beside = parameters ? element_count(parameters->scale.shape) * sizeof(float) +
        (parameters->zero_point ? element_count(parameters->scale.shape) : 0) : 0;
    return element_count(layout.shape) * size_of(dtype) + beside;
  }
};

template <Element T, Storage S> struct TypedEntry final : Entry {
  TypedEntry(std::string tensor_name, SharedTensor<T, S> shared) : tensor(std::move(shared)) {
    name = std::move(tensor_name);
    dtype = dtype_of<T>;
    layout = tensor.layout();
    block = tensor.block().get();
    ranges = std::make_shared<const ByteRanges>(byte_ranges(block, layout, sizeof(T)));
  }
  std::shared_ptr<Entry> on(const BlockRef& other, const Layout& there) const override {
    auto entry = std::make_shared<TypedEntry>(name, SharedTensor<T, S>(other, there), parameters);
    entry->source = source;
    return entry;
  }
  std::shared_ptr<Entry> with(std::string other_name, const Layout& there) const override {
    return std::make_shared<TypedEntry>(std::move(other_name), tensor.with(there));
  }
  // Elements of a block with the parameters that lie beside them.
  TypedEntry(std::string tensor_name, SharedTensor<T, S> shared, std::shared_ptr<const QuantizedParameters> beside) : TypedEntry(std::move(tensor_name),
      std::move(shared)) {
    if (!beside) return;
    ByteRanges all = *ranges;
    const auto add = [&](const Layout& part, std::size_t size) {
      const ByteRanges more = byte_ranges(block, part, size);
      all.insert(all.end(), more.begin(), more.end());
    };
    add(beside->scale, sizeof(float));
    if (beside->zero_point) add(*beside->zero_point, 1);
    ranges = std::make_shared<const ByteRanges>(std::move(all));
    parameters = std::move(beside);
  }
  // Errors: TypeError where the values came without a scale.
  auto quantized() const requires QuantizedElement<T> {
    if (!parameters)
      raise<TypeError>("'" + name + "' holds bare " + std::string(to_string(dtype)) +
          " elements: only values registered with their scale (a Quantized) have one");
    Quantized<T, S> result{tensor, SharedTensor<float, S>(tensor.block(), parameters->scale), {}};
    if (parameters->zero_point) result.zero_point = SharedTensor<quantized_value<T>, S>(tensor.block(), *parameters->zero_point);
    return result;
  }
  const SharedTensor<T, S> tensor;
};

struct Model {
  std::string name;
  bool active = false;  // named since its last release_model
  std::vector<Tenancy*> tenancies;
};

}  // namespace cotenant::detail

#endif
