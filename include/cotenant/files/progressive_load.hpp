// ProgressiveLoad<T>: a tensor of a store whose first rows may be used while the others are still being read.
#ifndef COTENANT_FILES_PROGRESSIVE_LOAD_HPP
#define COTENANT_FILES_PROGRESSIVE_LOAD_HPP
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "cotenant/files/store_folder.hpp"
#include "cotenant/files/zstd.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant {

namespace detail {
// Reads a stored tensor in order, one chunk per call; each is checked before the caller may use it.
class ChunkReader {
 public:
  ChunkReader(StoreFolder& folder, std::string name, StoreFolder::OpenTensor opened, bool verify)
      : folder_(folder), name_(std::move(name)), entry_(std::move(opened.entry)), file_(std::move(opened.file)), verify_(verify && !folder.verified(entry_)) {
    if (entry_.encoding == StoredEncoding::zstd) {
      if (!Zstd::available)
        raise<Unsupported>("tensor '" + name_ + "' in '" + file_.path().string() +
            "' is compressed, and this program was built without zstd: define COTENANT_ZSTD and link libzstd");
      packed_ = file_.map(entry_.position, entry_.stored_bytes);
    }
  }

  const StoredTensor& entry() const { return entry_; }
  std::size_t done() const { return done_; }

  // The whole tensor as a view of the file, not checked yet. Not for compressed ones.
  StoredFile::Part map() const { return file_.map(entry_.position, entry_.bytes); }
  // Checks the next chunk of map()'s bytes where they lie. Errors: BadFile.
  void check_next(const unsigned char* bytes) { accept(bytes + done_, next_bytes()); }

  // Puts the next chunk at to + done(). Errors: BadFile, IoError.
  void read_next(unsigned char* to) {
    const std::size_t wanted = next_bytes();
    if (entry_.encoding == StoredEncoding::zstd) {
      const auto* from = static_cast<const unsigned char*>(packed_.data());
      const std::size_t taken = Zstd::decompress(to + done_, wanted, from + unpacked_, entry_.stored_bytes - unpacked_);
      if (taken == 0) damaged("is damaged: it holds no zstd frame of " + std::to_string(wanted) + " bytes for them");
      unpacked_ += taken;
    } else if (file_.read(to + done_, wanted, entry_.position + done_) != wanted) {
      damaged("was truncated meanwhile");
    }
    accept(to + done_, wanted);
  }

 private:
  std::size_t next_bytes() const { return std::min(entry_.bytes - done_, ChunkedChecksum::chunk_bytes); }
  [[noreturn]] void damaged(const std::string& problem) const {
    folder_.bad(name_, entry_, problem + " (bytes " + std::to_string(done_) + " to " + std::to_string(done_ + next_bytes()) + " of the tensor)");
  }
  void accept(const unsigned char* bytes, std::size_t count) {
    if (verify_ && xxh64(bytes, count) != entry_.checksums[done_ / ChunkedChecksum::chunk_bytes]) damaged("is damaged: the checksum does not match");
    // Reading any other byte as a bool would be undefined, and a checksum does not tell who wrote it.
    if (entry_.dtype == DType::boolean && std::any_of(bytes, bytes + count, [](unsigned char byte) { return byte > 1; }))
      damaged("holds a bool that is neither 0 nor 1");
    done_ += count;
    if (done_ == entry_.bytes) folder_.set_verified(entry_);
  }

  StoreFolder& folder_;
  std::string name_;
  StoredTensor entry_;
  StoredFile file_;
  StoredFile::Part packed_;
  std::size_t unpacked_ = 0;
  std::size_t done_ = 0;
  bool verify_;
};
}  // namespace detail

// One thread calls advance(), finish() or run(); any other may meanwhile use rows(). Destroying it before the end cancels
// the rest. The store must outlive it; the tensors need neither.
template <Element T> class ProgressiveLoad {
 public:
  explicit ProgressiveLoad(detail::ChunkReader reader) : reader_(std::move(reader)), total_(reader_.entry().bytes) {
    Layout layout = contiguous_layout(reader_.entry().shape);
    BlockRef block;
    if (reader_.entry().encoding == StoredEncoding::raw) {
      StoredFile::Part part = reader_.map();
      layout.offset = static_cast<std::ptrdiff_t>(part.offset / sizeof(T));
      bytes_ = static_cast<const unsigned char*>(part.data());
      block = std::move(part.block);
    } else {
      const Allocation room = Mapped::anonymous(total_);
      bytes_ = unpacked_ = static_cast<unsigned char*>(room.data);
      block = Block::adopt(Mapped{.from_file = false}, room);
    }
    tensor_ = SharedTensor<T, Mapped>(std::move(block), layout);
    row_bytes_ = tensor_.rank() == 0 || tensor_.shape()[0] == 0 ? 0 : total_ / tensor_.shape()[0];
  }

  const Shape& shape() const { return tensor_.shape(); }
  std::size_t total_bytes() const { return total_; }
  // Bytes that have been read and found good.
  std::size_t done_bytes() const { return done_.load(std::memory_order_acquire); }
  // How many indices of the first axis are there with all their elements.
  std::size_t ready_rows() const {
    if (tensor_.rank() == 0) return 0;
    return row_bytes_ == 0 ? tensor_.shape()[0] : done_bytes() / row_bytes_;
  }
  // Those, as a tensor. Errors: ShapeError where the tensor has no axis.
  SharedTensor<T, Mapped> rows() const { return tensor_.slice(0, 0, static_cast<std::ptrdiff_t>(ready_rows())); }

  // Reads the next chunk (ChunkedChecksum::chunk_bytes). False, and nothing done, at the end.
  // Errors: BadFile where its checksum does not match: rows() stay as they were. IoError.
  bool advance() {
    if (reader_.done() == total_) return false;
    if (unpacked_ == nullptr) reader_.check_next(bytes_);
    else reader_.read_next(unpacked_);
    done_.store(reader_.done(), std::memory_order_release);
    return true;
  }
  // Reads the rest and returns the whole tensor. Errors: BadFile, IoError.
  SharedTensor<T, Mapped> finish() {
    while (advance()) continue;
    return tensor_;
  }
  // The same, calling progress(*this) after each chunk; where that returns false it stops, and returns nothing.
  // A later call goes on. Errors: BadFile, IoError.
  template <class Progress> std::optional<SharedTensor<T, Mapped>> run(Progress&& progress) {
    while (advance())
      if (!progress(static_cast<const ProgressiveLoad&>(*this))) return std::nullopt;
    return tensor_;
  }

 private:
  detail::ChunkReader reader_;
  std::size_t total_;
  std::size_t row_bytes_ = 0;
  SharedTensor<T, Mapped> tensor_;
  const unsigned char* bytes_ = nullptr;
  unsigned char* unpacked_ = nullptr;
  std::atomic<std::size_t> done_{0};
};

}  // namespace cotenant

#endif
